"""The ledger: every table, index and trigger of the first version."""

from peewee import Database

from database.altering import dialect_of


def up(migrator: object, db: Database) -> None:
    """Create everything; the runner calls this in one transaction."""
    for statement in dialect_of(db).statements():
        db.execute_sql(statement)
