"""Locks of GPUs: jobs whose recipes have the same gpu word never run at once for one user of this machine.

A lock is an flock on a file in a folder of the user. The kernel releases it when nobody has the open file any more,
also after SIGKILL. The supervisor of a generator inherits the open file. So a worker that is killed frees the GPU only
when the processes of its generator have ended.

A worker keeps the lock while it has a warm process with a loaded model on the GPU, also between two jobs. Another
worker requests the GPU with a second lock, on another file, that many can hold together. The owner looks at it. A
request for the GPU ends with its process, too, so nothing can be left over from a killed worker.

The folder is in the folder of temporary files (TMPDIR). Workers with different ones, such as two systemd units with
PrivateTmp, do not see each other.
"""

import fcntl
import hashlib
import os
import re
import stat
import tempfile
from contextlib import suppress
from errno import EPERM
from pathlib import Path


class GpuLock:
    """The lock of one GPU, for one worker. A worker has one object for each word."""

    def __init__(self, word: str) -> None:
        self._name = file_name(word)
        self._lock: int | None = None
        self._wish: int | None = None

    @property
    def is_held(self) -> bool:
        """True if this object has the lock."""
        return self._lock is not None

    def acquire(self) -> bool:
        """Lock the GPU and withdraw the request for it. False if another worker or its generator has the lock.

        Does not wait. Raises OSError if the folder of locks cannot be used.
        """
        if self._lock is None:
            self._lock = locked(f"{self._name}.lock", fcntl.LOCK_EX)
        if self._lock is not None:
            self.withdraw()
        return self.is_held

    def release(self) -> None:
        """Free the GPU, unless a supervisor that has inherited the lock still runs. Does nothing without the lock."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def fileno(self) -> int:
        """The file descriptor for a supervisor to inherit. Raises ValueError without the lock."""
        if self._lock is None:
            raise ValueError("the GPU is not locked: call acquire() first")
        return self._lock

    def touch(self) -> None:
        """Update the time of the lock file, so that a program that removes old temporary files does not remove it."""
        if self._lock is not None:
            os.utime(self._lock)

    def ask(self) -> None:
        """Ask the owner to release the GPU. Repeat it while a job waits: one call may have no effect."""
        if self._wish is None:
            self._wish = locked(f"{self._name}.wanted", fcntl.LOCK_SH)

    def withdraw(self) -> None:
        """End the request for the GPU. Does nothing without a request."""
        if self._wish is not None:
            os.close(self._wish)
        self._wish = None

    def is_wanted(self) -> bool:
        """True if another worker has asked for the GPU."""
        handle = locked(f"{self._name}.wanted", fcntl.LOCK_EX)
        if handle is not None:
            os.close(handle)
        return handle is None


def locked(name: str, kind: int) -> int | None:
    """The open file with this name in the folder of locks, locked; None if others hold a lock that forbids it."""
    path = lock_folder() / name
    while True:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle  # otherwise somebody deleted the file meanwhile
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def lock_folder() -> Path:
    """The folder of this user for locks. Raises PermissionError if others can use it."""
    user = os.geteuid()
    folder = Path(tempfile.gettempdir(), f"ledger-gpu-{user}")
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & 0o077:
        raise PermissionError(EPERM, "expected a folder of this user that nobody else may enter", str(folder))
    return folder


def file_name(word: str) -> str:
    """A file name for any word: different words have different names."""
    readable = re.sub("[^A-Za-z0-9_-]+", "-", word)[:40]
    return f"{readable}-{hashlib.sha256(word.encode('utf-8', 'replace')).hexdigest()[:16]}"
