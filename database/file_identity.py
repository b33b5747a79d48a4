"""Notices that the SQLite file was removed or replaced while this process has it open.

SQLite does not: it writes into the file that it opened, also when that file has no name any more. So the name is looked
up after each commit, before anything is acknowledged.
"""

import logging
import os
import threading
from pathlib import Path

import peewee

from errors import DatabaseUnusable, LedgerError

log = logging.getLogger("ledger.database")


class FileGone(LedgerError, peewee.OperationalError):
    """The database file was removed or replaced. Peewee does not convert it: its first base is no error of a driver."""


class FileIdentity:
    """The file that a process has open under a path, by its device and its inode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: tuple[int, int] | None = None  # of the file that was opened last
        self._connections, self._lock = 0, threading.Lock()
        self._is_logged = False

    def require_before_opening(self, may_make: bool) -> None:
        """Raise FileGone if a new connection would open another file than the open ones.

        If none is open, another file may be there. may_make: a missing one may be made, as at the first start.
        """
        if self._connections:
            self.require()
        elif self._inode is not None and not may_make and self._now() is None:
            raise self._gone()

    def opened(self) -> None:
        """Count a connection that was opened. If no other one is open, note which file has the path."""
        with self._lock:
            if not self._connections:
                self._inode = self._now()
            self._connections += 1

    def closed(self) -> None:
        """Count a connection that was closed."""
        with self._lock:
            self._connections = max(0, self._connections - 1)

    def require(self) -> None:
        """Raise FileGone if a connection is open, and another file has the path now, or none."""
        with self._lock:
            inode = self._inode if self._connections else None
        if inode is not None and self._now() != inode:
            raise self._gone()

    def _gone(self) -> FileGone:
        error = FileGone(
            f"The database file {self._path.name} was removed or replaced while this process used it. Nothing can be "
            "saved. Stop the service and its workers. If the file was moved, move it back with its -wal file; else "
            "restore a backup. Then start them again."
        )
        if not self._is_logged:
            self._is_logged = True
            log.critical("%s", error)
        return error

    def _now(self) -> tuple[int, int] | None:
        """The device and the inode at the path; None if nothing is there. If it is unknown, those of the open file."""
        try:
            status = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:  # a failing disk: what was committed was committed
            return self._inode
        return status.st_dev, status.st_ino


def refuse_lone_log(path: Path) -> None:
    """Raise DatabaseUnusable if the database is missing or empty, and its -wal file has changes.

    SQLite would delete the -wal file. The caller has locked the schema, so no other process is making the database.
    """
    log_file = path.with_name(f"{path.name}-wal")
    if not _size(path) and _size(log_file):
        raise DatabaseUnusable(
            f"The database {path} is missing or empty, and its log {log_file.name} still has changes: put the database "
            "back beside its log. Or move the log away, then restore a backup or start with a new database."
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
