"""Pending uploads: files that are in place before a record names them.

Each pending upload has a note: an empty file in STORAGE_DIR/.pending. If the process is killed before a record names
the upload, the note stays, and housekeeping uses it to find the file.
"""

from pathlib import Path

from files.publishing import make_folder, sync
from files.storage import Storage

PENDING = ".pending"
SEPARATOR = "~"  # no id contains this character


def announce(storage: Storage, upload: Path) -> Path:
    """Create the note for an upload of a track. Call this before the upload gets its final name. Returns the note."""
    note = storage.root / PENDING / f"{upload.parent.name}{SEPARATOR}{upload.name}"
    make_folder(note.parent)
    note.touch(exist_ok=False)
    sync(note.parent)
    return note


def pending_uploads(storage: Storage) -> dict[Path, Path]:
    """The note of each pending upload, by the path of the upload."""
    notes = (storage.root / PENDING).glob(f"*{SEPARATOR}*")
    return {_upload(storage, note): note for note in notes}


def _upload(storage: Storage, note: Path) -> Path:
    track_id, _, name = note.name.partition(SEPARATOR)
    return storage.folder("track", track_id) / name
