"""The SHA-256 of files: computed once for each version of a file, because that takes seconds for a long one."""

from functools import lru_cache
from pathlib import Path

from files.storage import sha256

FILES = 256


def digest(path: Path) -> str:
    """The SHA-256 of a file. Raises FileNotFoundError.

    It is computed again when the size, the time of the last change, or the inode of the file is another.
    """
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(FILES)
def _digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    """The SHA-256 of this version of a file. The last FILES results are remembered."""
    return sha256(path)
