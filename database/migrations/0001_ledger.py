"""The ledger: every table, index and trigger of the first version."""

from peewee import Database, PostgresqlDatabase

from database.ledger.postgresql import PostgreSQL
from database.ledger.sqlite import SQLite


def up(migrator: object, db: Database) -> None:
    """Create everything; the runner calls this in one transaction."""
    dialect = PostgreSQL() if isinstance(db, PostgresqlDatabase) else SQLite()
    for statement in dialect.statements():
        db.execute_sql(statement)
