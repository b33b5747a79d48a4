"""The audio files of an archive: a folder beside it, with the relative paths that the files have in the storage folder.

A file is in its new place, and on disk, before the record moves. It leaves its old place after that.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from errors import Conflict
from files.deletion import files_of_job, remove_unnamed
from files.publishing import sync
from files.storage import PARTS, Storage, is_file, sha256
from maintenance.archive import ledger, notes, rows
from maintenance.archive.database import Archive, open_archive
from maintenance.archive.rows import RECORDS, Rows

BATCH = 200


class ArchiveFiles:
    """Moves the files of jobs between the storage folder and the folder of an archive."""

    def __init__(self, storage: Storage, archive: Archive) -> None:
        self.storage, self.archive = storage, archive
        self.folder = files_folder(archive.path)

    def of_ledger(self, job_ids: Iterable[str]) -> set[Path]:
        """The files in the storage folder that belong to these jobs of the ledger."""
        return set().union(*(files_of_job(self.storage, job_id) for job_id in job_ids))

    def of_archive(self, moved: Rows) -> set[Path]:
        """The files in the folder of the archive that belong to these rows."""
        names = self._names(moved)
        paths = {self.folder / place for name in names if (place := self.storage.place(name))}
        for table in RECORDS:
            for record_id in rows.texts(moved, table, f"{table}_id"):
                paths.update(_files(self.folder / f"{table}s" / record_id))
        return {path for path in paths if is_file(path)}

    def copy_out(self, paths: Collection[Path]) -> None:
        """Copy files of the storage folder into the folder of the archive. Raises Conflict, OSError.

        The archive stores their names, by which a later process removes them from the storage folder.
        """
        _copy(paths, self.storage.root, self.folder, self._part)
        if paths:
            self.archive.will_remove([self.storage.relative(path) for path in paths])

    def copy_back(self, moved: Rows) -> None:
        """Copy the files of these rows into the storage folder. Raises Conflict, OSError."""
        _copy(self.of_archive(moved), self.folder, self.storage.root, self.storage.part)

    def missing(self, moved: Rows) -> list[str]:
        """The files of the storage folder that these rows name, and that are in neither folder."""
        places = {place for name in self._names(moved) if (place := self.storage.place(name))}
        return sorted(
            place for place in places if not is_file(self.folder / place) and not is_file(self.storage.root / place)
        )

    def remove_moved(self) -> None:
        """Remove the files of the last batch from the storage folder, except those that the ledger needs by now."""
        paths = {path for name in self.archive.moved_files() if (path := self.storage.locate(name))}
        if not paths:
            return
        owners = {owner for path in paths if (owner := self.storage.owner(path))}
        present = {(kind, name) for kind in RECORDS for name in ledger.present(kind, _ids(kind, owners))}
        remove_unnamed(self.storage, {path for path in paths if self.storage.owner(path) not in present})
        for owner in owners:
            self.storage.remove_empty(*owner)
        self.archive.has_removed()

    def clear_parts(self) -> None:
        """Remove what a killed process has not copied to the end. Only inside of only_mover()."""
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)

    def _part(self) -> Path:
        part = self.folder / PARTS / uuid.uuid4().hex
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def tidy(self, moved: Rows) -> None:
        """Remove the files of these rows from the folder of the archive, if the storage folder has them.

        Files that a record of the archive names stay.
        """
        paths = sorted(self.of_archive(moved))
        for batch in (paths[start : start + BATCH] for start in range(0, len(paths), BATCH)):
            in_storage = {path: self.storage.root / path.relative_to(self.folder) for path in batch}
            spellings = {name: path for path in batch for name in self.storage.spellings(in_storage[path])}
            named = {spellings[name] for name in self.archive.named(list(spellings))}
            for path in (path for path in batch if path not in named and _is_same(path, in_storage[path])):
                path.unlink()
                _remove_empty(path.parent, self.folder)

    def _names(self, moved: Rows) -> list[str]:
        return [
            *rows.texts(moved, "track", "file_path_wav"),
            *rows.texts(moved, "track", "file_path_mp3"),
            *rows.texts(moved, "loop", "result_path"),
        ]


def files_folder(archive: Path) -> Path:
    """The folder of the files of an archive: archive.db.files beside archive.db."""
    real = archive.resolve()
    return real.with_name(f"{real.name}.files")


def of_archive(storage: Storage, paths: Collection[Path], archive: Archive) -> set[Path]:
    """The files of the storage folder that a record of the archive names, or that are in the folder of one."""
    spellings = {name: path for path in paths for name in storage.spellings(path)}
    owners = {path: owner for path in paths if (owner := storage.owner(path))}
    return {spellings[name] for name in archive.named(list(spellings))} | {
        path for path, (kind, record_id) in owners.items() if archive.has(kind, record_id)
    }


def of_archives(storage: Storage, paths: Collection[Path]) -> set[Path]:
    """The files of the storage folder that belong to records of any archive. Raises LedgerError if one is not there."""
    needed: set[Path] = set()
    for path in notes.archives(storage):
        with open_archive(path) as archive:
            needed |= of_archive(storage, paths, archive)
    return needed


def _ids(kind: str, owners: Iterable[tuple[str, str]]) -> list[str]:
    return [record_id for owner_kind, record_id in owners if owner_kind == kind]


def _files(folder: Path) -> Iterator[Path]:
    """Every regular file in a folder and below."""
    for place, _, names in os.walk(folder):
        yield from (path for name in names if is_file(path := Path(place, name)))


def _copy(paths: Collection[Path], source: Path, target: Path, part: Callable[[], Path]) -> None:
    """Copy files, unless they are there. A file that a client has removed meanwhile is left out.

    part() makes a path for an unfinished file on the disk of the target. The folders are written to disk at the end.
    """
    folders: set[Path] = set()
    for path in paths:
        copy = target / path.relative_to(source)
        try:
            if not _is_same(path, copy):
                _place(path, copy, part)
                folders.update(folder for folder in copy.parents if folder.is_relative_to(target.parent))
        except FileNotFoundError:
            if is_file(path):
                raise
    for folder in folders:
        sync(folder)


def _place(source: Path, target: Path, new_part: Callable[[], Path]) -> None:
    """Give a file a second place: a link, or a copy if the place is on another disk. Raises Conflict, OSError."""
    if os.path.lexists(target):
        raise Conflict(f"the file {target} exists already and is another one")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        part = new_part()
        try:
            shutil.copy2(source, part, follow_symlinks=False)
            sync(part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


def _is_same(path: Path, other: Path) -> bool:
    """True if both are regular files with the same content."""
    if not (is_file(path) and is_file(other)):
        return False
    if path.samefile(other):
        return True
    return path.stat().st_size == other.stat().st_size and sha256(path) == sha256(other)


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove a folder and those above it, up to top, as long as they are empty."""
    with suppress(OSError):
        while folder != top:
            folder.rmdir()
            folder = folder.parent
