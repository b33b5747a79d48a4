"""The time of the database server as an SQL expression. SQLite uses the clock of this machine."""

from peewee import SQL

from database.connection import is_postgresql

# The value is the same during a whole statement, so the database can use an index. The triggers use the same clock.
POSTGRESQL = "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
SQLITE = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"


def database_now(plus_seconds: float = 0) -> SQL:
    """The current time plus these seconds, in whole microseconds since 1970."""
    now = POSTGRESQL if is_postgresql() else SQLITE
    return SQL(f"({now} + {round(plus_seconds * 1_000_000)})")
