"""Binds the process to one database, SQLite or PostgreSQL, and closes its connections."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import peewee
from peewee import DatabaseProxy
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from errors import SettingsError

if TYPE_CHECKING:
    from settings import Settings

# The errors when the database is away, full, locked or out of connections.
AWAY = (peewee.PeeweeException, MaxConnectionsExceeded)

sql_log = logging.getLogger("ledger.sql")
# A proxy looks up every other attribute by a function call, and its own transactions do so ten times. So these methods
# are copied to it: 5 of the 14 microseconds of an empty transaction.
FREQUENT = ("execute_sql", "in_transaction", "atomic", "transaction")


class BoundDatabase(DatabaseProxy):
    """The database of this process. If none is bound at its first use, it binds the database of the environment."""

    def initialize(self, obj: Any) -> None:
        """Bind a database."""
        super().initialize(obj)
        self.__dict__.update({name: getattr(obj, name) for name in FREQUENT if obj is not None})

    def __getattr__(self, name: str) -> Any:
        if self.obj is None:
            bind_default()
        return getattr(self.obj, name)


database = BoundDatabase()
_binding = threading.RLock()
_settings: Settings
_is_postgresql: bool  # copied from the settings, because every request reads it several times


def is_postgresql() -> bool:
    """True if the bound database is a PostgreSQL server."""
    if database.obj is None:
        bind_default()
    return _is_postgresql


def bind(settings: Settings) -> None:
    """Point every model at the database of these settings; opens no connection. Raises SettingsError."""
    _bind(settings, None)


def bind_default() -> None:
    """Bind the database of the environment, unless one is bound. Raises SettingsError."""
    with _binding:
        if database.obj is None:
            from settings import get_settings  # loads pydantic, which takes more time than all that models.py imports

            init_at_first_use(get_settings())


def bound_settings() -> Settings:
    """The settings of the bound database.

    Raises SettingsError if none is bound and the environment has wrong settings.
    """
    bind_default()
    return _settings


def release() -> None:
    """Close the connection of this thread, and those that threads share: the pool, or the connection of the groups."""
    if isinstance(database.obj, PooledPostgresqlDatabase):
        database.close_all()
    elif database.obj is not None:
        database.close()
        database.end_groups()


def leave() -> None:
    """Do what release() does, and let a restore replace the SQLite file. The next statement opens it again."""
    release()
    if database.obj is not None:
        database.let_go()


def release_connection() -> None:
    """Close this thread's connection; on PostgreSQL it goes back to the pool. The next statement opens one."""
    if not database.is_closed():
        database.close()


def give_back_connection() -> None:
    """Return this thread's PostgreSQL connection to the pool.

    An SQLite connection stays open: only its thread uses it.
    """
    if is_postgresql():
        release_connection()


def commit_in_groups() -> None:
    """From now on, the threads of this process share commits on SQLite. PostgreSQL itself groups commits."""
    if not is_postgresql():
        database.commit_in_groups()


def require_file() -> None:
    """Raise FileGone if the SQLite file was removed or replaced since this process opened it."""
    if not is_postgresql():
        database.file.require()


def server_version() -> str:
    """The name and version of the database, such as 'SQLite 3.54.0' or 'PostgreSQL 18.4'."""
    kind, query = ("PostgreSQL", "SHOW server_version") if is_postgresql() else ("SQLite", "SELECT sqlite_version()")
    return f"{kind} {database.execute_sql(query).fetchone()[0]}"


def init_at_first_use(settings: Settings) -> None:
    """Bind the database of these settings; its first connection brings the schema up to date. Raises SettingsError."""
    from database.schema import init_database

    _bind(settings, init_database)


def _bind(settings: Settings, prepare: Callable[[], object] | None) -> None:
    """Bind a database. Other threads see it when it is complete."""
    global _settings, _is_postgresql
    leave()
    opened: Any = _open(settings)
    opened.prepare = prepare
    if settings.sql_echo:
        sql_log.setLevel(logging.INFO)
        opened.query_hooks.append(_echo)
    _settings, _is_postgresql = settings, settings.is_postgresql
    database.initialize(opened)


def _open(settings: Settings) -> peewee.Database:
    if settings.is_postgresql:
        try:
            from database.postgresql import open_postgresql
        except ImportError:
            raise SettingsError(
                "DATABASE_URL names a PostgreSQL server, and the driver for it is not installed: "
                "run `.venv/bin/pip install -r requirements-postgresql.txt`, then start again."
            ) from None
        return open_postgresql(settings)
    from database.sqlite import open_sqlite

    return open_sqlite(settings)


def _echo(event: Any) -> None:
    outcome = f" -> {event.exception}" if event.exception else ""
    sql_log.info("%.3f ms  %s  %.500r%s", event.duration * 1000, " ".join(event.sql.split()), event.params, outcome)
