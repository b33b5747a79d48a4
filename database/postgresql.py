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

# The timeout ends the transaction of a frozen process, so that it does not keep its locks for ever. Prepared statements
# get a plan for their values: a generic plan would read the whole table, as it must fit every word and every limit.
OPTIONS = "-c idle_in_transaction_session_timeout=30s -c plan_cache_mode=force_custom_plan"
POOL_WAIT_SECONDS = 10


class Postgresql(PerThread, PooledPostgresqlDatabase):  # type: ignore[misc]
    """A PostgreSQL pool."""


def open_postgresql(settings: Settings) -> PooledPostgresqlDatabase:
    """Create the pool for DATABASE_URL; opens no connection. Raises SettingsError if the URL cannot be read."""
    set_json_loads(from_json)
    try:
        params: dict[str, Any] = conninfo_to_dict(settings.database_url)
        if not str(params.get("port", "5432")).replace(",", "").isdigit():
            raise ProgrammingError
    except ProgrammingError:  # its message quotes the URL with the password
        raise SettingsError(
            "DATABASE_URL cannot be read: expected postgresql://user:password@host:port/name, with every character of "
            "the password but A-Z a-z 0-9 . _ - written as %XX."
        ) from None
    options = f"{OPTIONS} {params.pop('options', '')}".strip()  # later options win over earlier ones
    return Postgresql(
        params.pop("dbname", None) or "postgres",
        max_connections=settings.db_pool_size,
        timeout=POOL_WAIT_SECONDS,
        prefer_psycopg3=True,
        **{"connect_timeout": 10, "options": options, **params},
    )
