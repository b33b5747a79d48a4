"""The cache of derived files: STORAGE_DIR/.derived has a folder for each sound file that has derived files.

The folder of tracks/t/song.wav is .derived/tracks/t/song.wav. The name of a derived file contains the size and the time
of its source. So a file that was derived from an earlier version is never served. No record can name a file in a hidden
folder.
"""

import logging
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from files.age import age

log = logging.getLogger("ledger.storage")
DERIVED = ".derived"
SEAM, COVER, TAGGED = "seam", "cover", "tagged"  # the suffix of such a file begins with it
DAY = 86_400.0  # seconds
KEPT_SECONDS = {SEAM: DAY, TAGGED: DAY, COVER: 60 * DAY}
OLD_SUFFIX = "json"  # waveforms of earlier versions of this service, which have no loudness


def cached_file(root: Path, source: Path, suffix: str) -> Path:
    """The path of a file derived from the current version of a source. Raises FileNotFoundError without a source."""
    return _folder(root, source) / f"{_version(source.lstat())}.{suffix}"


def forget(root: Path, source: Path) -> None:
    """Remove all files derived from a source. The caller removes the source first."""
    folder = _folder(root, source)
    _remove(path for path in folder.glob("*") if path.is_file())
    _remove_empty(folder, root / DERIVED)


def sweep(root: Path) -> None:
    """Remove derived files whose source was deleted or changed, those that are older than KEPT_SECONDS, and files that
    nobody reads any more.

    A source has a preview for each seam that somebody listened to, and few are heard again. It has a file with tags for
    each download, and a cover for each title that the track had.
    """
    top = os.fspath(root / DERIVED)
    for place, folders, names in os.walk(top, topdown=False):
        current = _current_version(f"{root}{place.removeprefix(top)}") if names else None
        outdated = [path for name in names if _is_outdated(path := Path(place, name), current)]
        _remove(outdated)
        if len(outdated) == len(names) and not folders:
            _remove_empty(Path(place), root / DERIVED)


def _folder(root: Path, source: Path) -> Path:
    return root / DERIVED / source.relative_to(root)


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _current_version(source: str) -> str | None:
    """The current version of a source; None if there is no such regular file."""
    try:
        status = os.lstat(source)
    except OSError:
        return None
    return _version(status) if stat.S_ISREG(status.st_mode) else None


def _is_outdated(path: Path, current: str | None) -> bool:
    """True if a derived file is of another version of its source than the current one, or need not be kept."""
    version, _, suffix = path.name.partition(".")
    kept_seconds = KEPT_SECONDS.get(suffix.partition("-")[0])
    return version != current or suffix == OLD_SUFFIX or (kept_seconds is not None and _age(path) > kept_seconds)


def _age(path: Path) -> float:
    """The seconds since a file was made; 0 if it is gone."""
    try:
        return age(path)
    except FileNotFoundError:
        return 0.0


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
