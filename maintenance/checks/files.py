"""Checks of the storage folder: files that are missing, that no record names, or that are not finished; the disk."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from files.deletion import named
from files.pending import notes, upload_of
from files.references import is_young_reference, waiting_references
from files.removals import paths_of, removal_notes
from files.storage import PART_SECONDS, PARTS, Storage, is_file, walk
from maintenance.archive.database import Archive, open_archive
from maintenance.archive.files import of_archive
from maintenance.archive.notes import archives
from maintenance.checks.faults import PAGE, Fault, Place
from maintenance.housekeeping import HOURLY_SECONDS, REPOS, parts_in_use
from models import Job, Loop, Track

LATE_SECONDS = PART_SECONDS + HOURLY_SECONDS + 600  # housekeeping removes older unfinished files once in an hour
NEARLY_FULL_BYTES = 1_000_000_000  # an hour of music as WAV and MP3
QUARANTINE = ".quarantine"  # a hidden folder: nothing in it is served
FIELDS: tuple[Any, ...] = (Track.file_path_wav, Track.file_path_mp3, Loop.result_path)
MODELS: dict[str, Any] = {"job": Job, "track": Track, "loop": Loop}


def missing_file(place: Place) -> Iterator[Fault]:
    """Records that name a file of the storage folder that does not exist. Names outside the folder are not checked."""
    for field in FIELDS:
        for record_id, name in _names(field):
            path = place.storage.place(name)
            if path is not None and not is_file(place.storage.root / path):
                about = f"{field.model._meta.table_name} {record_id}: {_text(name)}"
                yield Fault("missing_file", about, "restore the file from a backup, or upload it again")


def unnamed_file(place: Place) -> Iterator[Fault]:
    """Files that no record of the ledger or of its archives names, and that no process is about to name or remove."""
    with ExitStack() as stack:
        paths = archives(place.storage)
        if not all(path.is_file() for path in paths):
            return  # missing_archive() reports it; nobody knows which files its records name
        opened = [stack.enter_context(open_archive(path)) for path in paths]
        remaining = _files(place.storage.root)
        while batch := list(islice(remaining, PAGE)):
            for path in sorted(_unnamed(place.storage, batch, opened)):
                about = _text(place.storage.relative(path))
                yield Fault("unnamed_file", about, "`flask check --fix` moves it into quarantine", path)


def old_part(place: Place) -> Iterator[Fault]:
    """Unfinished files that housekeeping should have removed."""
    in_use = parts_in_use(place.storage)
    for path in sorted((place.storage.root / PARTS).glob("*")):
        with suppress(FileNotFoundError):
            if path.name not in in_use and _age(path) > LATE_SECONDS:
                about = _text(place.storage.relative(path))
                yield Fault("old_part", about, "check that the service runs; `flask check --fix` moves it away", path)


def disk_nearly_full(place: Place) -> Iterator[Fault]:
    """Disks with less than 1 GB free, of the storage folder and of the SQLite file."""
    folders = {"STORAGE_DIR": place.storage.root}
    if not place.settings.is_postgresql:
        folders["DB_PATH"] = place.settings.sqlite_path.absolute().parent
    for setting, folder in folders.items():
        if shutil.disk_usage(folder).free < NEARLY_FULL_BYTES:
            yield Fault(
                "disk_nearly_full", setting, "less than 1 GB is free: archive jobs with --files, or delete files"
            )


def quarantine(storage: Storage, fault: Fault) -> bool:
    """Move the file of a fault into the quarantine folder, with its relative path. False if it stays.

    If the quarantine has a file with this name, a number is added. A file that a record names by now goes back.
    """
    path = fault.path
    if path is None or not os.path.lexists(path):
        return False
    target = _free_name(storage.root / QUARANTINE / path.relative_to(storage.root))
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(path, target)
    if fault.name == "unnamed_file" and _is_text(path) and (named(storage, [path]) or _of_work(storage, [path])):
        os.rename(target, path)
        return False
    return True


def _free_name(path: Path) -> Path:
    """This path, or the first one of path.1, path.2 and so on that nothing has."""
    others = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return next(name for name in chain([path], others) if not os.path.lexists(name))


def _names(field: Any) -> Iterator[tuple[str, str]]:
    """(the id of a record, the name of its file), in the order of the ids."""
    key, last = field.model._meta.primary_key, ""
    query = field.model.select(key, field).order_by(key).limit(PAGE)
    while page := list(query.where(key > last, field.is_null(False)).tuples()):
        yield from page
        last = page[-1][0]


def _files(root: Path) -> Iterator[Path]:
    """Every regular file below the root that is not in a hidden folder of the root."""
    for folder, _, names in walk(root):
        yield from (path for name in names if is_file(path := Path(folder, name)))


def _unnamed(storage: Storage, batch: Iterable[Path], opened: list[Archive]) -> set[Path]:
    """The files of a batch that nobody needs.

    The order matters: notes and leases are read before names. A file whose note or lease has ended by then is named, or
    it is being removed and is gone at the second look. Most files are named, so leases are read only for the others;
    then names again.
    """
    paths = {path for path in batch if _is_text(path)}
    odd = set(batch) - paths
    paths -= {upload_of(storage, note) for note in notes(storage)}
    paths -= waiting_references(storage)
    paths -= set().union(*(paths_of(storage, note) for note in removal_notes(storage) if note.exists()))
    paths -= named(storage, paths)
    paths -= _of_work(storage, paths)
    paths -= named(storage, paths)
    paths -= _young_references(storage, paths)
    for archive in opened:
        paths -= of_archive(storage, paths, archive)
    is_moving = any(archive.begun() for archive in opened)  # then neither side may name the files of some jobs
    return set() if is_moving else paths | odd


def _of_work(storage: Storage, paths: Iterable[Path]) -> set[Path]:
    """The files that a worker may be about to name, because it has a lease, and the logs and references of jobs."""
    owners = {path: owner for path in paths if (owner := storage.owner(path))}
    leased: set[tuple[str, str]] = set()
    present: set[str] = set()
    for repo in REPOS:
        names = [record_id for kind, record_id in set(owners.values()) if kind == repo.name]
        model: Any = repo.model
        for record_id, token in model.select(repo.key, model.lease_token).where(repo.key.in_(names)).tuples():
            leased |= {(repo.name, record_id)} if token is not None else set()
            present |= {record_id} if repo.name == "job" else set()
    kept = {path for name in present for path in (storage.log(name), storage.reference(name))}
    return {path for path, owner in owners.items() if owner in leased or path in kept}


def _young_references(storage: Storage, paths: Iterable[Path]) -> set[Path]:
    """The reference recordings that may still wait for their job. A restored folder has no notes of them."""
    young = set[Path]()
    for path in paths:
        with suppress(FileNotFoundError):
            young |= {path} if is_young_reference(storage, path) else set()
    return young


def _age(path: Path) -> float:
    """Seconds since the path was changed. Raises FileNotFoundError."""
    return time.time() - path.lstat().st_mtime


def _is_text(path: Path) -> bool:
    """False for a path that is no valid UTF-8: no record can name it."""
    return _text(os.fspath(path)) == os.fspath(path)


def _text(name: str) -> str:
    """A name that can be printed."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
