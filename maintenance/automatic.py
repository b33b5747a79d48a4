"""Automatic backups: a thread in every process looks whether one is due; a subprocess with low priority makes it."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, time

from errors import LedgerError
from files.child import give_way
from files.publishing import make_folder
from maintenance.backup import backup, is_due, remove_surplus
from maintenance.periodic import Periodic
from settings import Settings, get_settings

log = logging.getLogger("ledger.backup")
ROOT = Path(__file__).parent.parent
NAME = "backups"
SECONDS = 2.0
RETRY_SECONDS = 600.0
LOCK = ".lock"


def threads(settings: Settings, stopping: threading.Event) -> list[Periodic]:
    """The thread that makes backups until stopping is set, started; none without BACKUP_DIR."""
    if settings.backup_dir is None:
        return []
    return [Periodic(NAME, SECONDS, Automatic(settings, settings.backup_dir).run, stopping).start()]


class Automatic:
    """The automatic backups of one process. Only one process at a time makes a backup in a folder.

    After a failure, all processes wait: the time of the lock file is the moment of the last failure.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self._process: subprocess.Popen[str] | None = None
        self._lock = -1  # the open lock file while the subprocess runs
        self._next = 0.0  # of this process, if the folder cannot be used

    def run(self) -> None:
        """Start a backup if one is due, or look whether it has ended. It never waits for a backup."""
        if self._process is not None:
            self._look(self._process)
        elif monotonic() >= self._next:
            try:
                self._start_if_due()
            except OSError as error:
                self._next = monotonic() + RETRY_SECONDS
                _warn(str(error))

    def _start_if_due(self) -> None:
        """The subprocess inherits the lock, and so holds it until it ends, also if this process is killed."""
        make_folder(self.folder)
        handle = _open(self.folder / LOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _has_failed_lately(handle) and is_due(self.settings):
                self._process, self._lock = _subprocess(handle), os.dup(handle)
        except BlockingIOError:  # another process makes a backup
            pass
        finally:
            os.close(handle)

    def _look(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            return
        self._process = None
        with process, os.fdopen(self._lock):  # no other process begins before the failure is stored
            output = process.stdout.read().strip() if process.stdout else ""
            if process.returncode:
                self._next = monotonic() + RETRY_SECONDS
                with suppress(OSError):  # the disk is away: then only this process waits
                    os.utime(self._lock)
        if process.returncode:
            _warn(output or f"exit code {process.returncode}")
        else:
            log.info("%s", output)
            remove_surplus(self.settings)


def _warn(reason: str) -> None:
    log.warning("no backup was made, and the next attempt is in ten minutes: %s", reason)


def _open(path: Path) -> int:
    """The open lock file. A new one has the time 0: there was no failure."""
    try:
        return os.open(path, os.O_RDWR)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.utime(handle, (0, 0))
        return handle


def _has_failed_lately(lock: int) -> bool:
    """True if a backup has failed within the last ten minutes. A moment in the future is that of a wrong clock."""
    return 0 <= time() - os.fstat(lock).st_mtime < RETRY_SECONDS


def make(parent: int) -> None:
    """Make one backup in BACKUP_DIR, and print one line: what the subprocess does."""
    give_way()
    if os.getppid() != parent:
        return
    try:
        print(f"the backup {backup(get_settings()).path} was made and checked")
    except (LedgerError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


def _subprocess(lock: int) -> subprocess.Popen[str]:
    """Start the subprocess in the current working directory, because paths in the settings are relative to it."""
    begin = f"from maintenance.automatic import make; make({os.getpid()})"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {begin}"]
    return subprocess.Popen(
        command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(lock,)
    )
