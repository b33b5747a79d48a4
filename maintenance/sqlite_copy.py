"""Copies of an SQLite database: made while others write, and checked."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cysqlite

from errors import BackupFailed
from maintenance.manifest import Contents, contents_of
from maintenance.reports import Report, silent

STEP_PAGES, PAUSE_SECONDS = 256, 0.005  # one megabyte; the pause lets writers use the disk and the processor
SYNC_STEPS = 32  # written to disk in small parts, so that a commit of the service never waits for much
WAIT_SECONDS = 10.0
NAMES = "SELECT name FROM sqlite_schema"
DAMAGED = "The database in the backup is damaged ({reason}): use another backup."


def copy_database(source: Path, target: Path, report: Report = silent) -> Contents:
    """Copy the database as it is at one moment. Returns what it has at that moment.

    Writers do not wait, because SQLite's log keeps the old pages for an open read transaction. This transaction is also
    why the copy can be made in steps: without it, every commit of another connection would start the copy again.
    """
    with _connected(source) as connection, _connected(target) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # the finished copy is written to disk as a whole
        copy.execute("PRAGMA journal_mode = OFF")
        connection.execute("BEGIN")
        contents = contents_of(connection, NAMES)
        handle = os.open(target, os.O_RDONLY)
        try:
            connection.backup(copy, pages=STEP_PAGES, progress=_Pauses(handle, report))
        finally:
            os.close(handle)
        return contents


class _Pauses:
    """Called after each step of a copy: pauses, and writes to disk what is copied."""

    def __init__(self, handle: int, report: Report) -> None:
        self._handle, self._report, self._steps = handle, report, 0

    def __call__(self, remaining: int, total: int, *is_done: Any) -> None:
        self._steps += 1
        self._report("copying the database", total - remaining, total)
        time.sleep(PAUSE_SECONDS)
        if self._steps % SYNC_STEPS == 0:
            os.fsync(self._handle)


def check_copy(path: Path, sentence: str = DAMAGED) -> Contents:
    """Check a database that nobody uses, and make it one file without a log beside it. Returns what it has.

    Raises BackupFailed with this sentence if it is damaged.
    """
    with _connected(path) as connection:
        [(mode,)] = connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        faults = [row[0] for row in connection.execute("PRAGMA integrity_check(10)").fetchall()]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        if (mode, faults, orphans) != ("delete", ["ok"], []):
            reason = faults[0] if faults != ["ok"] else "rows without their parents"
            raise BackupFailed(sentence.format(reason=reason))
        return contents_of(connection, NAMES)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """In this block, no other program has the database open, and it has no log beside it.

    Raises BackupFailed if one has. A database that is too damaged to be opened is left as it is.
    """
    connection = cysqlite.Connection(str(path), timeout=1.0)
    try:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("BEGIN EXCLUSIVE")
    except cysqlite.Error as error:
        if "locked" in str(error):
            _close(connection)
            raise BackupFailed(f"Another program has {path} open: close it, then repeat the command.") from None
    try:
        yield
    finally:
        _close(connection)


@contextmanager
def _connected(path: Path) -> Iterator[cysqlite.Connection]:
    """A connection, with a sentence for its errors."""
    try:
        connection = cysqlite.Connection(str(path), timeout=WAIT_SECONDS)
        try:
            yield connection
        finally:
            _close(connection)
    except cysqlite.Error as error:
        raise BackupFailed(f"The database {path} cannot be copied or read ({error}).") from None


def _close(connection: cysqlite.Connection) -> None:
    """Close a connection, also in a transaction or if the file is damaged."""
    with suppress(cysqlite.Error):
        if connection.in_transaction:
            connection.rollback()
    connection.close()
