"""The archive: moves finished jobs into another SQLite database, and back. A kill at any moment loses no job."""
