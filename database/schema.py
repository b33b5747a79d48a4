"""Creates and migrates the schema under a lock, so that any number of processes may start at the same moment."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import peewee

from database import restored
from database.connection import bind, bound_settings, database
from database.file_identity import refuse_lone_log
from database.half_restored import refuse_half_restored
from database.migrating import apply_migrations, purpose
from database.refusals import is_disk_full
from errors import DatabaseUnusable, SchemaTooNew, SchemaTooOld

if TYPE_CHECKING:
    from settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
HISTORY = "schema_migration"
MIGRATION_LOCK = 0x4C454447  # any number that nothing else on the server locks

_prepared: Settings | None = None  # the settings whose database is up to date


def init_database(settings: Settings | None = None) -> list[str]:
    """Create the database if it does not exist, and apply the migrations that are missing. It is safe to call it again.

    With settings, it binds their database first. Returns the names of the migrations that it has applied. Raises
    DatabaseUnusable with a sentence that says what to do, or its subclasses SchemaTooNew, SchemaTooOld and
    MigrationFailed.
    """
    global _prepared
    if settings is not None:
        bind(settings)
    settings = bound_settings()
    with _advice_for(settings), database.being_prepared(), _schema_lock(settings):
        pending = _pending()
        if pending:
            apply_migrations(MIGRATIONS, HISTORY, pending)
    _prepared = settings
    return pending


def require_writable() -> None:
    """Write a row as it is. Raises DatabaseUnusable if the database is read-only, or if its disk is full or fails."""
    with _advice_for(bound_settings()), database.atomic():
        database.execute_sql(f"UPDATE {HISTORY} SET name = name WHERE name = (SELECT min(name) FROM {HISTORY})")


def plan() -> dict[str, str]:
    """The migrations that init_database() would apply now, in order: what each does, by its name. Changes no row.

    Raises the same errors as init_database().
    """
    settings = bound_settings()
    if not settings.is_postgresql and not restored.is_there(settings.sqlite_path.resolve()):
        names = available_migrations()
    else:
        with _advice_for(settings), database.being_prepared(is_complete=False), database.connection_context():
            names = _pending()
    return {name: purpose(MIGRATIONS / f"{name}.py") for name in names}


def prepare_database() -> None:
    """Call init_database() for the bound database, unless this process has done so already."""
    if _prepared is not bound_settings():
        init_database()


def available_migrations() -> list[str]:
    """The names of the migrations that this program has, sorted."""
    return sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))


def schema_state() -> tuple[list[str], list[str]]:
    """(migrations that are not applied yet, applied migrations that this program does not have), as sorted names."""
    available = available_migrations()
    applied: list[str] = []
    if database.table_exists(HISTORY):
        applied = [name for (name,) in database.execute_sql(f"SELECT name FROM {HISTORY}").fetchall()]
    return [name for name in available if name not in applied], sorted(set(applied) - set(available))


@contextmanager
def _schema_lock(settings: Settings) -> Iterator[None]:
    """Lock the schema against other processes and open a connection; both end with the block."""
    if settings.is_postgresql:
        with database.connection_context():
            database.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            try:
                yield
            finally:
                database.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
        return
    with _folder_lock(settings.sqlite_path.parent):
        path = settings.sqlite_path.resolve()
        if not restored.is_waiting(path):
            refuse_lone_log(path)
        with database.connection_context():
            yield


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Lock the folder itself exclusively: this needs no lock file, and the lock ends when its process dies."""
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


def _pending() -> list[str]:
    """The migrations that are not applied yet. Raises DatabaseUnusable, SchemaTooNew, SchemaTooOld."""
    refuse_half_restored(bound_settings().storage_dir)
    pending, unknown = schema_state()
    if _is_of_development():
        raise SchemaTooOld(
            f"{_place(bound_settings())} was made by an earlier development version of this program, which this one "
            "cannot read: choose another with DB_PATH or DATABASE_URL, or delete it."
        )
    if unknown:
        raise SchemaTooNew(
            f"The database was written by a newer version of this program (it has {unknown[-1]}): "
            "start that version, or choose another database."
        )
    return pending


def _is_of_development() -> bool:
    """True if a version before the first release created the tables: it had no tally."""
    return bool(database.table_exists("job") and not database.table_exists("tally"))


def _place(settings: Settings) -> str:
    return "The PostgreSQL database" if settings.is_postgresql else f"The database {settings.sqlite_path}"


@contextmanager
def _advice_for(settings: Settings) -> Iterator[None]:
    """A block in which an error of the database becomes DatabaseUnusable, with a sentence that says what to do."""
    try:
        yield
    except peewee.DatabaseError as error:
        raise DatabaseUnusable(_advice(settings, error)) from None


def _advice(settings: Settings, error: peewee.DatabaseError) -> str:
    """What to do about an error at the first use of the database."""
    reason = str(error)
    if settings.is_postgresql:
        reason = " ".join(reason.split())
        return f"The PostgreSQL database cannot be used ({reason}): check DATABASE_URL and that it is running."
    path = settings.sqlite_path
    if "locked" in reason:
        return (
            f"The database {path} is locked by another program: "
            "close that program (or end its transaction), then start again."
        )
    if "not a database" in reason or "malformed" in reason:
        return f"The file {path} is no healthy SQLite database ({reason}): restore a backup, or choose another DB_PATH."
    if is_disk_full(error):
        return f"The disk of the database {path} is full ({reason}): make room, then start again."
    return (
        f"The database {path} cannot be written ({reason}): mount its disk for writing, give this user the right to "
        "write there, or choose another place with DB_PATH."
    )
