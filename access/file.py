"""The file of tokens: read as a whole, changed under a lock, and replaced by a complete file that is on disk."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from stat import S_ISREG

from pydantic import ValidationError

from access.contents import Contents
from errors import TokensUnusable
from files.publishing import make_folder, publish_file
from settings import Settings

PRIVATE = 0o600
LOCK_SECONDS, LOCK_PAUSE = 5.0, 0.02
MOST_BYTES = 10_000_000
NO_FILE, GONE = (), (errno.ENOENT,)

Stamp = tuple[int, ...]  # what differs when the file is another one; one number: the error that hides the file


class TokensFile:
    """The file of tokens, and its lock beside it.

    The lock is empty until the file has been written once. After that, the file must be there: if it is gone, the
    service must not work as if there had never been a token.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = settings.tokens_path.resolve()
        self.lock = self.path.with_name(f"{self.path.name}.lock")

    def stamp(self) -> Stamp:
        """The stamp of the file as it is now; () if there is no file and there was none."""
        try:
            stat = os.stat(self.path)
            return stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_mode
        except FileNotFoundError:
            return GONE if self._was_written() else NO_FILE
        except OSError as error:
            return (error.errno or errno.EIO,)

    def read(self) -> Contents | None:
        """What is in the file; None if there is no file and there was none. Raises TokensUnusable."""
        try:
            stat = os.stat(self.path)
            if not S_ISREG(stat.st_mode) or stat.st_size > MOST_BYTES:
                raise TokensUnusable(f"{self.path} is no file of tokens: move it away, or correct API_TOKENS.")
            return Contents.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            if not self._was_written():
                return None
            raise TokensUnusable(
                f"{self.path} is gone, and it had the tokens: put it back, or delete {self.lock.name} and make new "
                "tokens."
            ) from None
        except OSError as error:
            raise TokensUnusable(
                f"{self.path} cannot be read ({error.strerror}): let the user of the service read it."
            ) from None
        except ValidationError as error:
            raise TokensUnusable(f"{self.path} is no valid file of tokens ({_reason(error)}): restore it.") from None

    @contextmanager
    def changing(self) -> Iterator[Contents]:
        """The contents, to be changed in this block. At its end they are on disk. Raises TokensUnusable."""
        try:
            make_folder(self.path.parent)
            with self._locked() as lock:
                contents = self.read() or Contents()
                before = contents.model_dump_json()
                yield contents
                if contents.model_dump_json() != before:
                    self._write(contents)
                    self._mark(lock)
        except OSError as error:
            raise TokensUnusable(
                f"{self.path} cannot be written ({error.strerror}): let this user write in its folder, and make room "
                "on the disk."
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The open lock. A program that keeps it for long, such as a stopped one, must not stop all others.

        A link in its place is refused: root would give the file that it names to the owner of the folder.
        """
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE)
        try:
            self._keep_owner(handle)
            deadline = time.monotonic() + LOCK_SECONDS
            while not _is_locked(handle):
                if time.monotonic() > deadline:
                    raise TokensUnusable(f"Another program keeps {self.lock} locked: end it, then repeat this.")
                time.sleep(LOCK_PAUSE)
            yield handle
        finally:
            os.close(handle)

    def _write(self, contents: Contents) -> None:
        """Replace the file. If the process is killed, the file is the old one or the new one."""
        part = self.path.with_name(f"{self.path.name}.new")
        part.unlink(missing_ok=True)  # of a process that was killed
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
            self._keep_owner(file.fileno())
            file.write(contents.model_dump_json(indent=1))
        publish_file(part, self.path)

    def _mark(self, lock: int) -> None:
        if not os.fstat(lock).st_size:
            os.write(lock, f"While this file is here, the service expects {self.path.name} beside it.\n".encode())
            os.fsync(lock)

    def _was_written(self) -> bool:
        with suppress(OSError):
            return os.stat(self.lock).st_size > 0
        return False

    def _keep_owner(self, handle: int) -> None:
        """Give a file that root has made to the owner of the folder: the service must read it, too."""
        if os.geteuid() == 0:
            folder = os.stat(self.path.parent)
            os.fchown(handle, folder.st_uid, folder.st_gid)


def _is_locked(handle: int) -> bool:
    """Try to lock. Returns False if another program has the lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reason(error: ValidationError) -> str:
    """The first problem, without the value: it may be a secret."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
