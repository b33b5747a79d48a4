"""The connection to SQLite or PostgreSQL, and the schema brought up to date under a lock."""

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
from playhouse.pool import PooledPostgresqlDatabase

MIGRATIONS = Path(__file__).parent / "migrations"
HISTORY = "schema_migration"
BUSY_SECONDS = 10
POOL_WAIT_SECONDS = 10
MIGRATION_LOCK = 0x4C454447  # any number that nothing else on the server locks

sql_log = logging.getLogger("ledger.sql")
database = DatabaseProxy()
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


def _sqlite(settings: Settings) -> CySqliteDatabase:
    pragmas = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": settings.sqlite_synchronous,
        "journal_size_limit": 64 * 1024 * 1024,
        "trusted_schema": 0,
        "mmap_size": 0,
    }
    return CySqliteDatabase(
        str(settings.sqlite_path), rank_functions=False, pragmas=pragmas, timeout=BUSY_SECONDS, lock_type="IMMEDIATE"
    )


def _postgresql(settings: Settings) -> PooledPostgresqlDatabase:
    if getattr(peewee, "psycopg", None) is None:
        raise SettingsError("DATABASE_URL must be set to PostgreSQL before models is imported")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.json import set_json_loads

    set_json_loads(_jsonb)
    try:
        params: dict[str, Any] = conninfo_to_dict(settings.database_url)
    except ProgrammingError as error:
        raise SettingsError(f"DATABASE_URL cannot be read: {str(error).strip()}") from None
    return PooledPostgresqlDatabase(
        params.pop("dbname", None) or "postgres",
        max_connections=settings.db_pool_size,
        timeout=POOL_WAIT_SECONDS,
        prefer_psycopg3=True,
        **{"connect_timeout": 10, **params},
    )


def _jsonb(text: str | bytes) -> Any:
    """jsonb writes 1e300 as 301 digits: what no 64-bit integer holds was a float."""
    return json.loads(text, parse_int=lambda digits: float(digits) if abs(number := int(digits)) > 2**63 else number)


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
        return f"The PostgreSQL database cannot be used ({said.strip()}): check DATABASE_URL and that it is running."
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
