"""The connection to SQLite or PostgreSQL, and the schema brought up to date under a lock."""

import fcntl
import json
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from errors import DatabaseUnusable, SchemaTooNew, SettingsError
from settings import Settings, get_settings

if not get_settings().is_postgresql and "peewee" not in sys.modules:
    # Peewee imports every driver it finds; psycopg costs 80 ms and 12 MB that SQLite never uses.
    sys.modules["psycopg"] = None  # type: ignore[assignment]
    import peewee

    del sys.modules["psycopg"]
import peewee
from peewee import DatabaseProxy
from playhouse.cysqlite_ext import CySqliteDatabase
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

# What is raised while the database is away, full, locked or out of connections.
AWAY = (peewee.PeeweeException, MaxConnectionsExceeded)
MIGRATIONS = Path(__file__).parent / "migrations"
HISTORY = "schema_migration"
BUSY_SECONDS = 10
# A process that is frozen in a transaction must not hold its locks for ever; and what has been prepared must not get a
# plan for any word and any limit: that would be to walk through the whole table.
OPTIONS = "-c idle_in_transaction_session_timeout=30s -c plan_cache_mode=force_custom_plan"
POOL_WAIT_SECONDS = 10
WRITER_SECONDS = 30
MIGRATION_LOCK = 0x4C454447  # any number that nothing else on the server locks

sql_log = logging.getLogger("ledger.sql")
database = DatabaseProxy()
_writer, _thread = threading.Lock(), threading.local()
_bound: Settings
_is_prepared = False


def is_postgresql() -> bool:
    """True when the bound database is a PostgreSQL server."""
    return isinstance(database.obj, peewee.PostgresqlDatabase)


def bind(settings: Settings) -> None:
    """Point every model at the database of these settings; opens nothing yet."""
    global _bound, _is_prepared
    release()
    _bound, _is_prepared = settings, False
    database.initialize(_postgresql(settings) if settings.is_postgresql else _sqlite(settings))
    if settings.sql_echo:
        sql_log.setLevel(logging.INFO)
        database.query_hooks.append(_echo)


def release() -> None:
    """Close this thread's connection, and on PostgreSQL the whole pool."""
    if isinstance(database.obj, PooledPostgresqlDatabase):
        database.close_all()
    elif database.obj is not None:
        database.close()


def release_connection() -> None:
    """Close this thread's connection; on PostgreSQL it goes back to the pool. The next statement opens one."""
    if not database.is_closed():
        database.close()


def give_back_connection() -> None:
    """Lend this thread's PostgreSQL connection to others; an SQLite one, which nobody else needs, stays open."""
    if is_postgresql():
        release_connection()


def init_database(settings: Settings | None = None) -> None:
    """Create what is missing of the database and bring its schema up to date; safe to call at any time, anywhere.

    Binds the database of the settings when they are given. Raises DatabaseUnusable (SchemaTooNew when a newer version
    wrote it) with a sentence that says what to do.
    """
    global _is_prepared
    if settings is not None:
        bind(settings)
    try:
        with _alone(_bound):
            _migrate()
    except peewee.DatabaseError as error:
        raise DatabaseUnusable(_advice(_bound, str(error))) from None
    _is_prepared = True


def prepare_database() -> None:
    """init_database() for the bound database, once."""
    if not _is_prepared:
        init_database()


def schema_state() -> tuple[list[str], list[str]]:
    """(migrations still to apply, applied ones this program does not know), by name."""
    known = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
    applied: list[str] = []
    if database.table_exists(HISTORY):
        applied = [name for (name,) in database.execute_sql(f"SELECT name FROM {HISTORY}").fetchall()]
    return [name for name in known if name not in applied], sorted(set(applied) - set(known))


def server_version() -> str:
    """'SQLite 3.54.0' or 'PostgreSQL 18.4'."""
    kind, query = ("PostgreSQL", "SHOW server_version") if is_postgresql() else ("SQLite", "SELECT sqlite_version()")
    return f"{kind} {database.execute_sql(query).fetchone()[0]}"


class AtThreadEnd:
    """Calls what it was given when its thread ends, unless disarmed: it lives in a threading.local alone."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act: Callable[[], object] | None = act

    def __del__(self) -> None:
        if self.act is not None:
            self.act()


class PerThread:
    """A database whose connections end with their threads: no one else would close them."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]
        _thread.end = AtThreadEnd(partial(super()._close, connection))  # type: ignore[misc]
        return connection

    def _close(self, connection: Any, *rest: Any) -> None:
        if hasattr(_thread, "end"):
            _thread.end.act = None
        super()._close(connection, *rest)  # type: ignore[misc]


class Sqlite(PerThread, CySqliteDatabase):
    """SQLite whose write transactions queue within the process: SQLite's own waiting is unfair, up to starvation."""

    def begin(self, lock_type: str | None = None) -> None:
        """Wait for the other writers of this process, then for those of others."""
        if not _writer.acquire(timeout=WRITER_SECONDS):
            raise peewee.OperationalError("database is locked by another thread")
        _thread.is_writer = True
        try:
            super().begin(lock_type)
        except BaseException:
            self._let_others_write()
            raise

    def commit(self) -> None:
        """Commit; when that fails a rollback follows, and lets the others write."""
        super().commit()
        self._let_others_write()

    def rollback(self) -> None:
        """Roll back."""
        try:
            super().rollback()
        finally:
            self._let_others_write()

    def _let_others_write(self) -> None:
        if getattr(_thread, "is_writer", False):
            _thread.is_writer = False
            _writer.release()


class Postgresql(PerThread, PooledPostgresqlDatabase):  # type: ignore[misc]
    """A PostgreSQL pool."""


def _sqlite(settings: Settings) -> CySqliteDatabase:
    pragmas = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": settings.sqlite_synchronous,
        "journal_size_limit": 64 * 1024 * 1024,
        "trusted_schema": 0,
        "recursive_triggers": 1,  # INSERT OR REPLACE deletes, and is to be seen deleting
        "mmap_size": 0,
    }
    return Sqlite(
        str(settings.sqlite_path), rank_functions=False, pragmas=pragmas, timeout=BUSY_SECONDS, lock_type="IMMEDIATE"
    )


def _postgresql(settings: Settings) -> PooledPostgresqlDatabase:
    if getattr(peewee, "psycopg", None) is None:
        raise SettingsError("DATABASE_URL must be set to PostgreSQL before models is imported")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.json import set_json_loads

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


def to_json(value: object) -> str:
    """Compact JSON text; ValueError for NaN and Infinity, which JSON cannot say."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def from_json(text: str | bytes) -> Any:
    """What JSON text of any writer says; a number that no float holds is None."""
    return json.loads(text, parse_float=_finite, parse_int=_integer)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> float | int | None:
    """jsonb writes 1e300 as 301 digits: what no 64-bit integer holds was a float."""
    fits = len(digits) < 20 or (len(digits) == 20 and abs(int(digits)) <= 2**63)
    return int(digits) if fits else _finite(digits)


def _echo(event: Any) -> None:
    outcome = f" -> {event.exception}" if event.exception else ""
    sql_log.info("%.3f ms  %s  %.500r%s", event.duration * 1000, " ".join(event.sql.split()), event.params, outcome)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the one lock under which a schema may be changed, and a connection."""
    if settings.is_postgresql:
        with database.connection_context():
            database.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            try:
                yield
            finally:
                database.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
        return
    with _folder_lock(settings.sqlite_path.parent), database.connection_context():
        yield


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """An exclusive lock on the folder itself: no lock file is left behind, and a dead holder lets go."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DatabaseUnusable(
            f"The database folder {folder} cannot be used ({error.strerror}): choose another with DB_PATH, "
            "or give this user the right to write there."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _migrate() -> None:
    pending, unknown = schema_state()
    if unknown:
        raise SchemaTooNew(
            f"The database was written by a newer version of this program (it has {unknown[-1]}): "
            "start that version, or choose another database."
        )
    if pending:
        from playhouse.migrations import Runner  # 60 ms that only an old schema needs

        Runner(database.obj, str(MIGRATIONS), HISTORY).up()


def _advice(settings: Settings, said: str) -> str:
    """What to do about an error at the first use of the database."""
    if settings.is_postgresql:
        said = " ".join(said.split())
        return f"The PostgreSQL database cannot be used ({said}): check DATABASE_URL and that it is running."
    path = settings.sqlite_path
    if "locked" in said:
        return (
            f"The database {path} is locked by another program: "
            "close that program (or end its transaction), then start again."
        )
    if "not a database" in said or "malformed" in said:
        return f"The file {path} is no healthy SQLite database ({said}): restore a backup, or choose another DB_PATH."
    return (
        f"The database {path} cannot be written ({said}): choose another place with DB_PATH, "
        "or give this user the right to write there."
    )


bind(get_settings())
