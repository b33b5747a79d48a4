"""Makes archives: creates them, brings their schema up to date, and fills their search index."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cysqlite

from database import bind, bound_settings, init_database
from errors import DatabaseUnusable, Invalid
from maintenance.archive.database import APPLICATION, BUSY_SECONDS, errors_of, not_an_archive
from records.indexing import index_batch, jobs_behind
from settings import Settings


def make_archive(path: Path) -> None:
    """Create an archive if it does not exist, and bring its schema up to date. Raises Invalid, DatabaseUnusable.

    It binds the models to the archive for a moment, so no other thread of this process may use the database.
    """
    if not path.parent.is_dir():
        raise Invalid(f"The folder {path.parent} does not exist: make it, or mount its disk.")
    _mark(path)
    try:
        with _bound_to(path):
            init_database()
    except DatabaseUnusable as error:
        if type(error) is not DatabaseUnusable:
            raise
        raise DatabaseUnusable(
            f"The archive {path} cannot be used ({error.__context__ or error}): choose another file for the archive."
        ) from None


def index_archive(path: Path) -> None:
    """Add the jobs of an archive to its search index. The same rule for threads as in make_archive()."""
    with _bound_to(path):
        while jobs_behind():
            index_batch()


def _mark(path: Path) -> None:
    """Mark a new database as an archive, before it has a table. Raises DatabaseUnusable for other databases."""
    with errors_of(path), closing(cysqlite.Connection(str(path), timeout=BUSY_SECONDS)) as connection:
        [(application,)] = connection.execute("PRAGMA application_id").fetchall()
        if application == APPLICATION:
            return
        if application or connection.execute("SELECT 1 FROM sqlite_master").fetchall():
            raise not_an_archive(path)
        connection.execute(f"PRAGMA application_id = {APPLICATION}").fetchall()


@contextmanager
def _bound_to(path: Path) -> Iterator[None]:
    ledger = bound_settings()
    bind(archive_settings(ledger, path))
    try:
        yield
    finally:
        bind(ledger)


def archive_settings(ledger: Settings, path: Path) -> Settings:
    """The settings with which the models read an archive."""
    return ledger.model_copy(update={"database_url": "", "db_path": path})
