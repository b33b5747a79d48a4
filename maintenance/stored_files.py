"""The files of the storage folder in backups: copied out of it, and put back into it."""

import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from database.half_restored import marker
from errors import BackupFailed
from files.publishing import make_folder, publish_file, sync
from files.storage import Storage, is_file, open_file, sha256, walk
from maintenance.manifest import Backup, Copied
from maintenance.reports import Report
from maintenance.workplace import require_room
from models import utc_now

log = logging.getLogger("ledger.backup")
BLOCK = 1024 * 1024
NAMED = 10  # links in one line of the log


def copy_files(storage: Storage, target: Path, report: Report) -> Iterator[Copied]:
    """Copy every file of the storage folder that does not belong to the service itself.

    The database is copied first, and a file is complete before a record names it. So the files of all records in the
    copy are there, except those that are deleted meanwhile.
    """
    stored = [(path, path.is_symlink()) for path in _stored(storage.root)]
    _warn_of_links([path for path, is_link in stored if is_link])
    paths = [path for path, is_link in stored if not is_link]
    target.mkdir()
    require_room(target, sum(map(_bytes_of, paths)))
    for number, path in enumerate(paths, 1):
        name = path.relative_to(storage.root).as_posix()
        copied = _copy_file(path, target / name, name)
        if copied is not None:
            yield copied
        report("copying files", number, len(paths))


def _stored(root: Path) -> Iterator[Path]:
    """The files and links below root: not those that are hidden at the top, and no names that are not valid Unicode."""
    for place, folders, names in walk(root, _raise_unless_deleted):
        linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for path in (Path(place, name) for name in names + linked):
            try:
                str(path).encode()
            except UnicodeEncodeError:
                log.warning("%r is not in the backup, as its name is not valid Unicode", str(path))
            else:
                yield path


def _warn_of_links(links: list[Path]) -> None:
    """Log one line with the links: the files behind them may be anywhere, and are not in the storage folder."""
    if links:
        names = ", ".join(repr(str(path)) for path in links[:NAMED])
        more = f" and {len(links) - NAMED} more" if len(links) > NAMED else ""
        log.warning("links are not followed, so what is behind them is not in the backup: %s%s", names, more)


def _raise_unless_deleted(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _bytes_of(path: Path) -> int:
    """The size of a regular file; 0 for anything else."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _copy_file(path: Path, target: Path, name: str) -> Copied | None:
    """Copy one file; None if it is no regular file, or was deleted meanwhile. Raises BackupFailed."""
    source = open_file(path)
    if source is None and is_file(path):
        raise BackupFailed(f"The file {path} cannot be read: give this user the right to read it.")
    if source is None:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("xb") as copy:
        size, digest = copy_with_digest(source, copy)
        status = os.fstat(source.fileno())
        os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
    return Copied(path=name, size=size, sha256=digest)


def copy_with_digest(
    source: BinaryIO, target: BinaryIO, tell: Callable[[int], object] = lambda done: None
) -> tuple[int, str]:
    """Copy an open file. Returns (its bytes, its SHA-256). Calls tell(bytes so far) after each block."""
    digest, done = hashlib.sha256(), 0
    while block := source.read(BLOCK):
        digest.update(block)
        done += target.write(block)
        tell(done)
    return done, digest.hexdigest()


class StoredFiles:
    """The files of a backup on their way into the storage folder."""

    def __init__(self, storage: Storage, backup: Backup, report: Report) -> None:
        self.storage, self.folder, self.report = storage, backup.files, report
        self._source, self._marker = os.fsencode(backup.path.resolve()), marker(storage.root)
        self.listed: list[Copied] = (backup.manifest.files if backup.manifest else None) or []
        self._others: list[Copied] = []  # those whose place has another file

    def add_missing(self) -> None:
        """Check all files, then add those that the storage folder does not have.

        No record of the present database names them, so this does no harm. Raises BackupFailed.
        """
        self._check()
        missing = []
        make_folder(self.storage.root)
        for file in self.listed:
            place = self._place(file)
            if not os.path.lexists(place):
                missing.append(file)
            elif not is_file(place) or place.stat().st_size != file.size or sha256(place) != file.sha256:
                self._others.append(file)
        if missing or self._others:
            require_room(self.storage.root, sum(file.size for file in missing + self._others))
        for number, file in enumerate(missing, 1):
            publish_file(self._copied(file), self._place(file))
            self.report("adding files", number, len(missing))

    @contextmanager
    def before_replacing(self) -> Iterator[None]:
        """In this block, the database is replaced. If files differ, no process can start until replace_others() ends.

        If the block raises BackupFailed, the database has not been replaced, and the marker is as before.
        """
        before = self._marker.read_bytes() if self._marker.exists() else None
        if self._others:
            self._mark(self._source)
        try:
            yield
        except BackupFailed:
            self._mark(before)
            raise

    def replace_others(self) -> str | None:
        """Replace the files that differ. Returns the folder in which they are now; None if there are none."""
        aside = self.storage.root / f".before-restore-{utc_now():%Y%m%dT%H%M%S%fZ}"
        for file in self._others:
            part, place = self._copied(file), self._place(file)
            _keep(place, aside / file.path)
            publish_file(part, place)
        self._mark(None)
        return str(aside) if self._others else None

    def _mark(self, source: bytes | None) -> None:
        """Write the marker of an unfinished restore to disk; None removes it."""
        if source is not None:
            part = self.storage.part()
            part.write_bytes(source)
            publish_file(part, self._marker)
        elif self._marker.exists():
            self._marker.unlink()
            sync(self._marker.parent)

    def _check(self) -> None:
        """Compare all files with the manifest. Raises BackupFailed if one is missing or damaged."""
        for number, file in enumerate(self.listed, 1):
            path = self.folder / file.path
            if not is_file(path) or sha256(path) != file.sha256:
                raise BackupFailed(f"The file {path} is missing or damaged: use another backup.")
            self.report("checking files", number, len(self.listed))

    def _place(self, file: Copied) -> Path:
        """Where a file belongs. Raises BackupFailed if a link in the storage folder leads out of it."""
        place = self.storage.root / file.path
        if place.parent.resolve() != place.parent:
            raise BackupFailed(f"{place} is behind a link: remove the link, then repeat the command.")
        return place

    def _copied(self, file: Copied) -> Path:
        """A copy of a file on the disk of the storage folder."""
        part = self.storage.part()
        shutil.copy2(self.folder / file.path, part)
        return part


def _keep(place: Path, aside: Path) -> None:
    """Give a file a second name, so that its place is never empty. A folder is moved."""
    make_folder(aside.parent)
    if stat.S_ISDIR(place.lstat().st_mode):
        os.rename(place, aside)
    else:
        try:
            os.link(place, aside, follow_symlinks=False)
        except OSError:  # a file system without hard links
            shutil.copy2(place, aside, follow_symlinks=False)
    if is_file(aside):
        sync(aside)
    sync(aside.parent)
