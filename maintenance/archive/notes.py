"""Notes in STORAGE_DIR/.archives: the archives of this ledger, and those whose moves are not finished.

Every archive has a note with its path, because its records may name files in the storage folder. A second file, with
the ending .moving, marks an archive whose move is not finished; it stays if the process is killed. The file `moving` is
locked by the process that moves jobs.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import Busy
from files.publishing import make_folder, sync
from files.storage import Storage

ARCHIVES, MOVING = ".archives", "moving"
MARK = ".moving"
WAIT_SECONDS, STEP_SECONDS = 1.0, 0.05


@contextmanager
def only_mover(storage: Storage, wait_seconds: float = 0.0) -> Iterator[None]:
    """A block in which no other process moves jobs of this ledger. Raises Busy after so many seconds.

    The lock ends when its process dies.
    """
    make_folder(storage.root / ARCHIVES)
    handle = os.open(storage.root / ARCHIVES / MOVING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(handle, wait_seconds)
        yield
    finally:
        os.close(handle)


def begin(storage: Storage, archive: Path) -> None:
    """Write the note and the mark of an archive, before the first job moves. Only inside of only_mover()."""
    note, text = _note(storage, archive), os.fsencode(archive)
    for path in (note, note.with_suffix(MARK)):
        if not path.exists() or path.read_bytes() != text:
            unfinished_note = path.with_suffix(".new")
            unfinished_note.write_bytes(text)
            sync(unfinished_note)
            os.replace(unfinished_note, path)
    sync(note.parent)


def end(storage: Storage, archive: Path) -> None:
    """Note that the move of this archive is finished. Only inside of only_mover()."""
    _note(storage, archive).with_suffix(MARK).unlink(missing_ok=True)


def unfinished(storage: Storage) -> list[Path]:
    """The archives of the process that moves jobs now, and of those that were killed."""
    return [path for path in archives(storage) if _note(storage, path).with_suffix(MARK).exists()]


def archives(storage: Storage) -> list[Path]:
    """The archives of this ledger, by their paths when jobs were moved."""
    notes = (path for path in (storage.root / ARCHIVES).glob("*") if path.name != MOVING and not path.suffix)
    return sorted({Path(os.fsdecode(text)) for note in notes if (text := note.read_bytes())})


def forget(storage: Storage, archive: Path) -> None:
    """Remove the note of an archive that has no jobs."""
    _note(storage, archive).unlink(missing_ok=True)


def _note(storage: Storage, archive: Path) -> Path:
    return storage.root / ARCHIVES / hashlib.sha256(os.fsencode(archive)).hexdigest()[:16]


def _lock(handle: int, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise Busy("Another process is moving jobs to or from an archive: wait until it has ended.") from None
        time.sleep(STEP_SECONDS)
