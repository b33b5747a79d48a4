"""Notes in STORAGE_DIR/.archives: the archives of this ledger, and the one whose move is not finished.

Every archive has a note with its path, because its records may name files in the storage folder. The file `moving` is
locked by the process that moves jobs. Its text is the path of the archive; it stays there if the process is killed.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import Busy
from files.publishing import make_folder, sync
from files.storage import Storage

ARCHIVES, MOVING = ".archives", "moving"


@contextmanager
def only_mover(storage: Storage) -> Iterator[None]:
    """A block in which no other process moves jobs of this ledger. Raises Busy.

    The lock ends when its process dies.
    """
    make_folder(storage.root / ARCHIVES)
    handle = os.open(_moving(storage), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Busy("Another process is moving jobs to or from an archive: wait until it has ended.") from None
    finally:
        os.close(handle)


def begin(storage: Storage, archive: Path) -> None:
    """Write the notes for an archive, before the first job moves. Only inside of only_mover()."""
    note = storage.root / ARCHIVES / hashlib.sha256(os.fsencode(archive)).hexdigest()[:16]
    for path in (note, _moving(storage)):
        if not path.exists() or path.read_bytes() != os.fsencode(
            archive
        ):  # a kill must not empty a note that is needed
            path.write_bytes(os.fsencode(archive))
            sync(path)
    sync(note.parent)


def end(storage: Storage) -> None:
    """Note that no move is unfinished. Only inside of only_mover()."""
    _moving(storage).write_bytes(b"")


def unfinished(storage: Storage) -> Path | None:
    """The archive of the process that moves jobs now, or that was killed; None if there is no such process."""
    try:
        text = _moving(storage).read_bytes()
    except FileNotFoundError:
        return None
    return Path(os.fsdecode(text)) if text else None


def archives(storage: Storage) -> list[Path]:
    """The archives of this ledger, by their paths when jobs were moved."""
    notes = (path for path in (storage.root / ARCHIVES).glob("*") if path.name != MOVING)
    return sorted({Path(os.fsdecode(text)) for note in notes if (text := note.read_bytes())})


def forget(storage: Storage, archive: Path) -> None:
    """Remove the note of an archive that has no jobs."""
    (storage.root / ARCHIVES / hashlib.sha256(os.fsencode(archive)).hexdigest()[:16]).unlink(missing_ok=True)


def _moving(storage: Storage) -> Path:
    return storage.root / ARCHIVES / MOVING
