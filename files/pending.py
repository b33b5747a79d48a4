"""Pending uploads: files that are in place before a record names them.

An empty file in STORAGE_DIR/.pending, called a note, stands for each of them. If the process is killed before a record
names the upload, the note stays, and housekeeping finds the file by it.
"""

from pathlib import Path

from files.publishing import make_folder, sync
from files.storage import Storage

PENDING = ".pending"
SEPARATOR = "~"  # no id has one


def announce(storage: Storage, upload: Path) -> Path:
    """Make the note for an upload of a track, before the upload is in place. Returns the note."""
    note = storage.root / PENDING / f"{upload.parent.name}{SEPARATOR}{upload.name}"
    make_folder(note.parent)
    note.touch(exist_ok=False)
    sync(note.parent)
    return note


def pending_uploads(storage: Storage) -> dict[Path, Path]:
    """The pending uploads, and the note of each."""
    notes = (storage.root / PENDING).glob(f"*{SEPARATOR}*")
    return {_upload(storage, note): note for note in notes}


def _upload(storage: Storage, note: Path) -> Path:
    track_id, _, name = note.name.partition(SEPARATOR)
    return storage.folder("track", track_id) / name
