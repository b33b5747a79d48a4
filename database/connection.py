"""Binds the process to one database, SQLite or PostgreSQL, and closes its connections."""

import logging
from contextlib import suppress
from typing import Any

import peewee
from peewee import DatabaseProxy
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from errors import SettingsError
from settings import Settings, get_settings

# The errors when the database is away, full, locked or out of connections.
AWAY = (peewee.PeeweeException, MaxConnectionsExceeded)

sql_log = logging.getLogger("ledger.sql")


class BoundDatabase(DatabaseProxy):
    """The database of this process. If none is bound at its first use, it binds the database of the environment."""

    def __getattr__(self, name: str) -> Any:
        if self.obj is None:
            _bind_for_script()
        return getattr(self.obj, name)


database = BoundDatabase()
_settings: Settings
_is_postgresql: bool  # copied from the settings, because every request reads it several times


def is_postgresql() -> bool:
    """True if the bound database is a PostgreSQL server."""
    if database.obj is None:
        _bind_for_script()
    return _is_postgresql


def bind(settings: Settings) -> None:
    """Point every model at the database of these settings; opens no connection. Raises SettingsError."""
    global _settings, _is_postgresql
    leave()
    database.initialize(_open(settings))
    _settings, _is_postgresql = settings, settings.is_postgresql
    if settings.sql_echo:
        sql_log.setLevel(logging.INFO)
        database.query_hooks.append(_echo)


def bind_default() -> None:
    """Bind the database of the environment, unless one is bound. If its settings are wrong, its first use raises.

    models.py calls this, because Peewee builds JSON conditions for the kind of the bound database.
    """
    with suppress(SettingsError):
        if database.obj is None:
            _bind_for_script()


def bound_settings() -> Settings:
    """The settings of the bound database.

    Raises SettingsError if none is bound and the environment has wrong settings.
    """
    if database.obj is None:
        _bind_for_script()
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


def server_version() -> str:
    """The name and version of the database, such as 'SQLite 3.54.0' or 'PostgreSQL 18.4'."""
    kind, query = ("PostgreSQL", "SHOW server_version") if is_postgresql() else ("SQLite", "SELECT sqlite_version()")
    return f"{kind} {database.execute_sql(query).fetchone()[0]}"


def init_at_first_use(settings: Settings) -> None:
    """Bind the database of these settings; its first connection brings the schema up to date. Raises SettingsError."""
    from database.schema import init_database

    bind(settings)
    database.obj.prepare = init_database


def _bind_for_script() -> None:
    """Bind the database of the environment."""
    init_at_first_use(get_settings())


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
