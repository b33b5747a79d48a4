"""Adds indexes by which tracks are found and sorted: by words, genre, seed, length and name."""

from peewee import Database, PostgresqlDatabase

from database.library import indexes, words


def up(migrator: object, db: Database) -> None:
    """Create the indexes of tracks, and what finds tracks by words."""
    on_postgresql = isinstance(db, PostgresqlDatabase)
    for statement in (*indexes(on_postgresql), *words(on_postgresql)):
        db.execute_sql(statement)
