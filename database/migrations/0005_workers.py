"""Adds the table in which the processes of workers announce themselves, and what they can make."""

from peewee import Database

from database.altering import dialect_of


def up(migrator: object, db: Database) -> None:
    """Create the table. It is no record: it has no events, and exports and archives leave it out."""
    dialect = dialect_of(db)
    db.execute_sql(f"""CREATE TABLE worker (
        name TEXT NOT NULL PRIMARY KEY,
        host TEXT NOT NULL,
        {dialect.object("worker", "generators")},
        {dialect.moment("worker", "started_at", "NOT NULL")},
        {dialect.moment("worker", "seen_at", "NOT NULL")}) {dialect.ending}""")
    db.execute_sql("CREATE INDEX worker_seen_at ON worker (seen_at)")
