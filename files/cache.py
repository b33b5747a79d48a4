"""The cache of derived files: STORAGE_DIR/.derived has a folder for each sound file that something was made of.

The folder of tracks/t/song.wav is .derived/tracks/t/song.wav. A name in it has the size and the time of the source, so
that a file derived from an earlier version is never served. No record can name a file in a hidden folder.
"""

import logging
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("ledger.storage")
DERIVED = ".derived"


def cached_file(root: Path, source: Path, suffix: str) -> Path:
    """Where a file derived from the source as it is now is kept. Raises FileNotFoundError when there is no source."""
    return _folder(root, source) / f"{_version(source)}.{suffix}"


def forget(root: Path, source: Path) -> None:
    """Remove all files derived from a source. Remove the source itself before."""
    folder = _folder(root, source)
    _remove(path for path in folder.glob("*") if path.is_file())
    _remove_empty(folder, root / DERIVED)


def sweep(root: Path) -> None:
    """Remove derived files whose source is gone or changed."""
    for place, _, names in os.walk(root / DERIVED, topdown=False):
        folder = Path(place)
        current = _current_version(root / folder.relative_to(root / DERIVED))
        _remove(folder / name for name in names if name.partition(".")[0] != current)
        _remove_empty(folder, root / DERIVED)


def _folder(root: Path, source: Path) -> Path:
    return root / DERIVED / source.relative_to(root)


def _version(source: Path) -> str:
    about = source.lstat()
    return f"{about.st_size}-{about.st_mtime_ns}"


def _current_version(source: Path) -> str | None:
    """The version of a source; None when it is no regular file (any more)."""
    try:
        return _version(source) if stat.S_ISREG(source.lstat().st_mode) else None
    except OSError:
        return None


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a derived file stays, as it cannot be removed: %s", error)


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove a folder and those above it, up to top, as long as they are empty."""
    with suppress(OSError):  # it is not empty, or another process removed it
        while folder != top:
            folder.rmdir()
            folder = folder.parent
