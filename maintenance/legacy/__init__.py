"""Takes over the database and the audio of the SQLAlchemy service that this one replaces."""
