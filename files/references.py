"""Reference recordings that clients upload for jobs. They are part of the order: a generator reads them.

A recording may come before its job is recorded. Then an empty file in STORAGE_DIR/.references, called a note, has the
job_id as its name. Housekeeping removes a recording with a note that nobody has touched for a day, if no job has the
job_id by then.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from errors import LedgerError
from files.age import age
from files.publishing import link_or_copy, make_folder, publish_file, sync
from files.refusals import storage_errors
from files.storage import Storage, is_file
from files.uploads import Upload, Uploads
from repos import JobRepository

NOTES = ".references"
KEPT_SECONDS = 24 * 3600.0  # how long a recording waits for its job
Needed = Callable[[Storage, set[Path]], set[Path]]
jobs = JobRepository()


def has_reference(storage: Storage, job_id: str) -> bool:
    """True if there is a recording for a job. If it waits for its job, its day begins anew."""
    path = storage.reference(job_id)
    if not is_file(path):
        return False
    with suppress(OSError):  # it has no note
        os.utime(_note(storage, job_id))
    return is_file(path)


def receive_reference(storage: Storage, uploads: Uploads, job_id: str, upload: Upload) -> tuple[dict[str, Any], bool]:
    """Make an upload the recording of a job, as WAV. Returns (what it is, True if the job had none).

    Raises WrongStatus, StorageFull, StorageUnusable, and what Uploads.received() raises.
    """
    require_at_rest(job_id)
    with storage_errors(), uploads.received(upload, kept=("wav",)) as sound:
        facts = {"job_id": job_id, "duration": sound.duration, "rate": sound.rate, "channels": sound.channels}
        facts["bytes"] = sound.path.stat().st_size
        return facts, put_reference(storage, job_id, sound.path)


def put_reference(storage: Storage, job_id: str, part: Path) -> bool:
    """Make a complete WAV the recording of a job. True if the job had none. Raises WrongStatus, OSError.

    A worker reads the old recording or the new one, because no worker can claim the job while it is replaced. A job
    that is recorded at the same moment may be claimed too early. Then this raises WrongStatus, too.
    """
    sync(part)
    final = storage.reference(job_id)
    with jobs.at_rest(job_id) as is_recorded:
        if not is_recorded:
            _announce(storage, job_id)
        is_new = not is_file(final)
        publish_file(part, final)
    if not is_recorded:
        require_at_rest(job_id)
    return is_new


def remove_reference(storage: Storage, job_id: str) -> bool:
    """Remove the recording of a job. False if it has none. Raises WrongStatus, OSError."""
    path = storage.reference(job_id)
    with jobs.at_rest(job_id):
        if not is_file(path):
            return False
        path.unlink()
        sync(path.parent)
    storage.remove_empty("job", job_id)
    _note(storage, job_id).unlink(missing_ok=True)
    return True


def copy_reference(storage: Storage, job_id: str, new_id: str) -> None:
    """Give a job that is not recorded yet the recording of another job, unless it has one. Raises OSError."""
    if jobs.get_value(new_id, "updated_at") is not None or is_file(storage.reference(new_id)):
        return
    part = storage.part()
    try:
        link_or_copy(storage.reference(job_id), part)
        put_reference(storage, new_id, part)
    finally:
        part.unlink(missing_ok=True)


def require_at_rest(job_id: str) -> None:
    """Raise WrongStatus if a worker uses the order of a job, or if a result belongs to it."""
    with jobs.at_rest(job_id):
        pass


def waiting_references(storage: Storage) -> set[Path]:
    """The recordings that have a note."""
    return {storage.reference(note.name) for note in _notes(storage)}


def is_young_reference(storage: Storage, path: Path) -> bool:
    """True for the recording of any job if it was made within a day. Raises FileNotFoundError."""
    owner = storage.owner(path)
    return owner is not None and path == storage.reference(owner[1]) and not _is_day_old(path)


def remove_forgotten(storage: Storage, needed_elsewhere: Needed = lambda storage, paths: set()) -> None:
    """Remove the recordings that have waited for a day, and the notes of recordings whose job is there.

    needed_elsewhere: returns those files that other databases need. If it raises a LedgerError, they stay for now.
    """
    for note in _notes(storage):
        with suppress(FileNotFoundError, LedgerError):
            if _is_recorded(note.name):
                note.unlink(missing_ok=True)
            elif _is_day_old(note):
                path = storage.reference(note.name)
                if path in needed_elsewhere(storage, {path}) or _remove_unless_used(storage, note):
                    note.unlink(missing_ok=True)


def _remove_unless_used(storage: Storage, note: Path) -> bool:
    """Remove the recording of a note. False if has_reference() was called meanwhile: then it stays.

    It is moved away before the second look at the note. So has_reference() finds no recording, or this finds its call.
    """
    path, part = storage.reference(note.name), storage.part()
    try:
        os.rename(path, part)
    except FileNotFoundError:
        return True
    try:
        if not _is_day_old(note):
            with suppress(FileExistsError):  # a newer one
                link_or_copy(part, path)
            return False
    finally:
        part.unlink(missing_ok=True)
    storage.remove_empty("job", note.name)
    return True


def _announce(storage: Storage, job_id: str) -> None:
    note = _note(storage, job_id)
    make_folder(note.parent)
    note.touch()
    sync(note.parent)


def _is_recorded(job_id: str) -> bool:
    return jobs.get_value(job_id, "updated_at") is not None


def _is_day_old(path: Path) -> bool:
    return age(path) > KEPT_SECONDS


def _notes(storage: Storage) -> list[Path]:
    return list((storage.root / NOTES).glob("*"))


def _note(storage: Storage, job_id: str) -> Path:
    return storage.root / NOTES / job_id
