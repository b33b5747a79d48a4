"""The clock of the database server, as an SQL expression; on SQLite it is that of this machine."""

from peewee import SQL

from database.connection import is_postgresql

# Fixed for one statement, so that an index can be used. The triggers in migrations/ use the same clock.
POSTGRESQL = "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
SQLITE = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"


def database_now(plus_seconds: float = 0) -> SQL:
    """So many seconds after now, in whole microseconds since 1970."""
    now = POSTGRESQL if is_postgresql() else SQLITE
    return SQL(f"({now} + {round(plus_seconds * 1_000_000)})")
