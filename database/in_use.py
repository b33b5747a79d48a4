"""Locks an SQLite database: shared by the processes that use it, exclusive while it is restored.

The lock is on a file beside the database. The kernel releases it when the process and its forks have ended, also after
SIGKILL. The file stays: without it, two processes could lock two different files.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from database import restored
from errors import DatabaseUnusable

LOCK = ".lock"
WAIT_SECONDS = 10.0  # for a restore that is about to end
LOOK_SECONDS = 0.02


def share(database: Path) -> int:
    """Lock the database for a process that uses it. Returns the open lock file: closing it ends the lock.

    If a restore was killed after it had decided to replace the database, this finishes it first. Raises
    DatabaseUnusable while the database is being restored, and OSError.
    """
    while True:
        handle = _lock(database, fcntl.LOCK_SH, WAIT_SECONDS)
        if handle is None:
            raise DatabaseUnusable(f"The database {database} is being restored: start again when that has ended.")
        if not restored.is_waiting(database):
            return handle
        os.close(handle)
        with suppress(DatabaseUnusable), exclusive(database, WAIT_SECONDS):  # another process may be faster
            restored.put_in_place(database)


@contextmanager
def shared(database: Path) -> Iterator[None]:
    """Use the database in this block, as share() describes."""
    handle = share(database)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def exclusive(database: Path, seconds: float = 0.0) -> Iterator[None]:
    """Lock the database against every process that uses it. Raises DatabaseUnusable if one still does after seconds."""
    handle = _lock(database, fcntl.LOCK_EX, seconds)
    if handle is None:
        raise DatabaseUnusable(
            f"The database {database} is in use: stop the service, its workers and every script that uses it, then "
            "repeat the command."
        )
    try:
        yield
    finally:
        os.close(handle)


def _lock(database: Path, kind: int, seconds: float) -> int | None:
    """The locked file beside the database; None if others hold the lock for these seconds."""
    path, deadline = database.with_name(database.name + LOCK), time.monotonic() + seconds
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle  # otherwise somebody deleted the file meanwhile
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(handle)
                return None
            time.sleep(LOOK_SECONDS)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _open(path: Path) -> int:
    """The open lock file, which every user can read who can read the folder: reading is enough to lock it."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        with suppress(PermissionError):  # another user has just created it
            os.fchmod(handle, 0o644)
        return handle
