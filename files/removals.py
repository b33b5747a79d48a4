"""Removals: the files of records that are being deleted. A note in STORAGE_DIR/.removals names them before the commit.

The name of the note has the record, its text the paths, with a NUL after every one. If the process is killed before it
removes the files, the note stays, and housekeeping finds them by it.
"""

import logging
import os
import uuid
from collections.abc import Collection
from pathlib import Path

from files.publishing import make_folder, sync
from files.storage import Storage

log = logging.getLogger("ledger.storage")
REMOVALS = ".removals"
SEPARATOR = "~"  # no id has one
END = b"\0"
Key = tuple[str, str]  # (job, track or loop; its id)


def announce_removal(storage: Storage, record: Key, paths: Collection[Path]) -> Path:
    """Make the note for the deletion of a record, whose files are these. Returns its path; without files there is none.

    Where it cannot be written, as on a full disk, the deletion goes on without: it is what makes room.
    """
    note = storage.root / REMOVALS / SEPARATOR.join([*record, uuid.uuid4().hex])
    if not paths:
        return note
    try:
        make_folder(note.parent)
        note.write_bytes(b"".join(os.fsencode(storage.relative(path)) + END for path in paths))
        sync(note)
        sync(note.parent)
    except OSError as error:
        log.warning("no note of the deletion of %s %s can be written: %s", *record, error)
    return note


def removal_notes(storage: Storage) -> list[Path]:
    """The notes of all deletions whose files may not be removed yet."""
    return list((storage.root / REMOVALS).glob(f"*{SEPARATOR}*"))


def record_of(note: Path) -> Key:
    """The record that was deleted, or was about to be."""
    kind, record_id, _ = note.name.split(SEPARATOR)
    return kind, record_id


def paths_of(storage: Storage, note: Path) -> set[Path]:
    """The paths that a note names; one that was not written to its end does not count."""
    names = [os.fsdecode(name) for name in note.read_bytes().split(END)[:-1]]
    return {path for name in names if (path := storage.locate(name))}


def forget_removal(note: Path) -> None:
    """Remove a note: its files are gone, or are to stay."""
    try:
        note.unlink(missing_ok=True)
    except OSError as error:
        log.warning("the note of a deletion stays: %s", error)
