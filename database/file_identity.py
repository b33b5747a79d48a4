"""Notices that the SQLite file was removed or replaced while this process has it open.

SQLite does not: it writes into the file that it opened, also when that file has no name any more. So the name is looked
up after each commit, before anything is acknowledged.
"""

import logging
import os
import threading
from pathlib import Path

import peewee

from errors import LedgerError

log = logging.getLogger("ledger.database")


class FileGone(LedgerError, peewee.OperationalError):
    """The database file was removed or replaced. Peewee does not convert it: its first base is no error of a driver."""


class FileIdentity:
    """The file that a process has open under a path, by its device and its inode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None
        self._connections, self._lock = 0, threading.Lock()
        self._is_logged = False

    def opened(self) -> None:
        """Count a connection that was opened. The first one notes which file has the path."""
        with self._lock:
            self._connections += 1
            if self._opened is None:
                self._opened = self._present()

    def closed(self) -> None:
        """Count a connection that was closed. With the last one, the file is forgotten: the next may open another."""
        with self._lock:
            self._connections -= 1
            if self._connections <= 0:
                self._connections, self._opened = 0, None

    def require(self) -> None:
        """Raise FileGone if another file has the path now, or none."""
        if self._opened is not None and self._present() != self._opened:
            error = FileGone(
                f"The database file {self._path.name} was removed or replaced while this process had it open. Nothing "
                "can be saved. Stop the service and its workers. If the file was moved, move it back with its -wal "
                "file; else restore a backup. Then start them again."
            )
            if not self._is_logged:
                self._is_logged = True
                log.critical("%s", error)
            raise error

    def _present(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
