"""Adds what finds and sorts tracks: indexes of their words, genre, seed, length and name."""

from peewee import Database, PostgresqlDatabase

from database.altering import replace_trigger
from database.library_index import indexes, on_postgresql, on_sqlite, with_replaced


def up(migrator: object, db: Database) -> None:
    """Create the indexes, and the triggers that keep them."""
    is_postgresql = isinstance(db, PostgresqlDatabase)
    for statement in (*indexes(is_postgresql), *(on_postgresql() if is_postgresql else on_sqlite())):
        db.execute_sql(statement)
    if not is_postgresql:
        replace_trigger(db, "job", "job_replaced", with_replaced)
