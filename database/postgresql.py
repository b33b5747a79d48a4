"""PostgreSQL: a pool of psycopg connections; imported only when DATABASE_URL names such a server."""

from typing import Any

from playhouse.pool import PooledPostgresqlDatabase
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads

from database.json_text import from_json
from database.threads import PerThread
from errors import SettingsError
from settings import Settings

# A process that is frozen in a transaction must not hold its locks for ever; and what has been prepared must not get a
# plan for any word and any limit: that would be to walk through the whole table.
OPTIONS = "-c idle_in_transaction_session_timeout=30s -c plan_cache_mode=force_custom_plan"
POOL_WAIT_SECONDS = 10


class Postgresql(PerThread, PooledPostgresqlDatabase):  # type: ignore[misc]
    """A PostgreSQL pool."""


def open_postgresql(settings: Settings) -> PooledPostgresqlDatabase:
    """The pool for DATABASE_URL; opens no connection. Raises SettingsError when the URL cannot be read."""
    set_json_loads(from_json)
    try:
        params: dict[str, Any] = conninfo_to_dict(settings.database_url)
        if not str(params.get("port", "5432")).replace(",", "").isdigit():
            raise ProgrammingError
    except ProgrammingError:  # its message quotes the URL, the password included
        raise SettingsError(
            "DATABASE_URL cannot be read: expected postgresql://user:password@host:port/name, with every character of "
            "the password but A-Z a-z 0-9 . _ - written as %XX."
        ) from None
    options = f"{OPTIONS} {params.pop('options', '')}".strip()  # the later ones win
    return Postgresql(
        params.pop("dbname", None) or "postgres",
        max_connections=settings.db_pool_size,
        timeout=POOL_WAIT_SECONDS,
        prefer_psycopg3=True,
        **{"connect_timeout": 10, "options": options, **params},
    )
