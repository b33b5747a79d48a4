"""Files: what lies on disk, and how sound is read and written."""
