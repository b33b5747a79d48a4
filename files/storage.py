"""The storage folder, which has the files of records. Nothing outside the folder is read or removed."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from errors import SettingsError, StorageGone
from files import cache
from files.age import age

if TYPE_CHECKING:
    from settings import Settings

log = logging.getLogger("ledger.storage")
ATTEMPT = re.compile("[0-9a-f]{12}")
KINDS = ("jobs", "tracks", "loops")
PARTS = ".parts"
PART_SECONDS = 3600.0
LOG_NAME, REFERENCE_NAME, COVER_NAME = "generator.log", "reference.wav", "cover"
FULL_BYTES = 4 * 1024 * 1024

noted: dict[Path, tuple[int, int]] = {}  # the inodes of the storage folders that this process, or its parent, has used


class Storage:
    """The files below STORAGE_DIR. Records have paths relative to it, with / between folders."""

    def __init__(self, settings: Settings | None = None) -> None:
        if settings is None:
            from settings import (
                get_settings,  # imported here: an encoder needs no settings, and their import takes long
            )

            settings = get_settings()
        configured = settings.storage_dir
        self.root, self._configured = configured.resolve(), configured.absolute()
        _note(self.root)

    def require_root(self) -> None:
        """Raise StorageGone if another folder is in the place of the one that this process has used, or none.

        A disk that is not mounted any more leaves an empty folder: files written there would be lost.
        """
        inode = noted.get(self.root)
        if inode is not None and _inode(self.root, unknown=inode) != inode:
            raise StorageGone(
                "The storage folder was removed or replaced while this process used it: put it back, or mount its disk "
                "again. If another folder is meant, restart the service and its workers."
            )

    def require_writable(self) -> None:
        """Write an empty file, and remove it. Raises StorageGone, or the OSError that says why this fails."""
        part = self.part()
        part.touch()
        part.unlink()

    def folder(self, kind: str, record_id: str) -> Path:
        """The folder of all files made for a job, track or loop. An id contains no / and is neither . nor .. itself."""
        return self.root / f"{kind}s" / record_id

    def log(self, job_id: str) -> Path:
        """The file with the output of the job's generator."""
        return self.folder("job", job_id) / LOG_NAME

    def reference(self, job_id: str) -> Path:
        """The file with the reference recording that a client uploaded for the job."""
        return self.folder("job", job_id) / REFERENCE_NAME

    def cover(self, track_id: str) -> Path:
        """The file with the picture that a client uploaded as cover of the track: a PNG or a JPEG."""
        return self.folder("track", track_id) / COVER_NAME

    def relative(self, path: Path) -> str:
        """The path as records store it: relative to the storage folder."""
        return path.relative_to(self.root).as_posix()

    def spellings(self, path: Path) -> set[str]:
        """All the names that a record may have for a path below the root: no file is served by any other."""
        name = self.relative(path)
        return {name, str(self.root / name), str(self._configured / name)}

    def locate(self, name: str | Path) -> Path | None:
        """The real path of a file below the root; None for a path that leads outside. The file need not exist.

        None also for a name that is not one of its spellings, as nobody who looks for the file's records sees that one,
        and for names that begin with a dot: such files are unfinished, derived, or not made by this service. Only the
        id of a record may begin with one.
        """
        try:
            path = (self.root / name).parent.resolve(strict=True) / Path(name).name
        except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
            return None
        parts = path.relative_to(self.root).parts if path.is_relative_to(self.root) else ()
        return path if parts and not _is_hidden(parts) and str(name) in self.spellings(path) else None

    def place(self, name: str) -> str | None:
        """The relative path that a name stands for, also if no such file or folder exists; None as in locate()."""
        path = Path(name)
        for root in (self.root, self._configured):
            path = path.relative_to(root) if path.is_relative_to(root) else path
        is_inside = path.parts and not path.is_absolute() and ".." not in path.parts
        if not is_inside or _is_hidden(path.parts) or name not in self.spellings(self.root / path):
            return None
        return path.as_posix()

    def open(self, name: str | Path) -> BinaryIO | None:
        """A regular file below the root, open to read, or None. Links, FIFOs and devices are never opened."""
        path = self.locate(name)
        return open_file(path) if path is not None else None

    def find(self, name: str | Path | None) -> Path | None:
        """The path of a file that open() can open; None for any other name."""
        file = self.open(name) if name else None
        if file is None or name is None:
            return None
        file.close()
        return self.locate(name)

    def owned(self, name: str, owners: Collection[Path]) -> Path | None:
        """The path of a regular file below the root; None if it is in a record's folder that is not one of owners."""
        path = self.locate(name)
        return path if path is not None and self._owner(path) in {None, *owners} and is_file(path) else None

    def files(self, kind: str, record_id: str) -> Iterator[Path]:
        """Every regular file in a record's folder."""
        folder = self.locate(self.folder(kind, record_id))
        if folder is None or folder.is_symlink() or not folder.is_dir():
            return
        for place, _, names in os.walk(folder, onerror=_warn):
            yield from (path for name in names if is_file(path := Path(place, name)))

    def derived(self, source: Path, suffix: str) -> Path:
        """The path of a file derived from the current version of the source.

        Raises FileNotFoundError without a source.
        """
        return cache.cached_file(self.root, source, suffix)

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove regular files and the files derived from them. Links, FIFOs and devices stay.

        A file that cannot be removed stays, and the log says why.
        """
        for path in filter(is_file, paths):
            _unlink(path)
            cache.forget(self.root, path)

    def remove_empty(self, kind: str, record_id: str) -> None:
        """Remove the empty folders of a record."""
        folder = self.locate(self.folder(kind, record_id))
        if folder is None or folder.is_symlink():
            return
        for place, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):  # it is not empty
                os.rmdir(place)

    def owner(self, path: Path) -> tuple[str, str] | None:
        """The kind and the id of the record in whose folder a path is, or None."""
        folder = self._owner(path)
        return (folder.parent.name.removesuffix("s"), folder.name) if folder else None

    def _owner(self, path: Path) -> Path | None:
        """The folder of the record that a path belongs to, or None."""
        parts = path.relative_to(self.root).parts
        return self.root / parts[0] / parts[1] if len(parts) > 2 and parts[0] in KINDS else None

    def part(self) -> Path:
        """A new path for an unfinished file. publish_file() gives it its final name."""
        return self._parts() / uuid.uuid4().hex

    def remove_old_parts(self, in_use: Collection[str]) -> None:
        """Remove what killed processes left unfinished: an hour old, and with a name that is not in in_use."""
        for path in self._parts().iterdir():
            with suppress(FileNotFoundError):
                if path.name not in in_use and is_old(path):
                    remove_tree(path)

    def _parts(self) -> Path:
        self.require_root()
        folder = self.root / PARTS
        folder.mkdir(parents=True, exist_ok=True)
        _note(self.root)
        return folder

    def is_full(self) -> bool:
        """True if less than FULL_BYTES can be written."""
        return shutil.disk_usage(self.root).free < FULL_BYTES

    def attempt(self, kind: str, record_id: str, lease_token: str) -> Path:
        """The folder for the results of an attempt.

        Its name comes from the lease token, so every attempt has its own.
        """
        return self.folder(kind, record_id) / _attempt(lease_token)

    def workshop(self, lease_token: str) -> Path:
        """The folder for the unfinished files of an attempt."""
        return self._parts() / _attempt(lease_token)

    def attempts(self, kind: str, record_id: str) -> list[Path]:
        """The result folders of all attempts at a record."""
        return [path for path in self.folder(kind, record_id).glob("*") if is_attempt(path)]


def is_attempt(path: Path) -> bool:
    """True for a folder with the name of an attempt. Tokens that other claimers chose may name none."""
    return ATTEMPT.fullmatch(path.name) is not None and path.is_dir() and not path.is_symlink()


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, or a regular file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        _unlink(path)


def make_storage_folder(settings: Settings) -> None:
    """Create the storage folder if it does not exist. Raises SettingsError."""
    try:
        settings.storage_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"STORAGE_DIR is {str(settings.storage_dir)!r}: that folder cannot be made ({error.strerror}); "
            "choose another, or give this user the right to write there."
        ) from None
    _note(settings.storage_dir.resolve())


def _note(root: Path) -> None:
    """Note which folder this is, if it exists and none is noted."""
    if root not in noted and (inode := _inode(root)) is not None:
        noted.setdefault(root, inode)


def _inode(root: Path, unknown: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """The device and the inode of a folder; None if it does not exist, and `unknown` if the disk does not answer."""
    try:
        status = root.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return unknown
    return status.st_dev, status.st_ino


def open_file(path: Path) -> BinaryIO | None:
    """Open a regular file to read it; None if it is not a regular file or cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    return os.fdopen(handle, "rb")


def walk(root: Path, onerror: Callable[[OSError], object] | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """The same as os.walk() for a storage folder, without what is hidden at its top."""
    for place, folders, names in os.walk(root, onerror=onerror):
        if place == os.fspath(root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            names = [name for name in names if not name.startswith(".")]
        yield place, folders, names


def sha256(path: Path) -> str:
    """The digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """A file name of letters, digits, - and _, made from any text; 'track' if nothing of it is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "track"


def is_file(path: Path) -> bool:
    """True for a regular file. False for a link to one, and for a name that no file system accepts."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_old(path: Path) -> bool:
    """True if the path was not changed for an hour. Raises FileNotFoundError."""
    return age(path) > PART_SECONDS


def _is_hidden(parts: tuple[str, ...]) -> bool:
    """True if a part of a path begins with a dot. Only the id of a record may."""
    return any(part.startswith(".") and (place, parts[0] in KINDS) != (1, True) for place, part in enumerate(parts))


def _attempt(lease_token: str) -> str:
    """The name of the folders of an attempt; of a token that a claimer chose, too."""
    return lease_token.rpartition("-")[2][:12]


def _unlink(path: Path) -> None:
    try:
        if is_file(path):
            path.unlink(missing_ok=True)
    except OSError as error:
        _warn(error)


def _warn(error: OSError) -> None:
    log.warning("a file stays, as it cannot be removed: %s", error)
