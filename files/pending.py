"""Pending uploads: files that are in place before a record names them.

An empty file in STORAGE_DIR/.pending, called a note, stands for each of them. If the process is killed before a record
names the upload, the note stays, and housekeeping finds the file by it. A note whose name ends with ~ stands for an
upload that is decided: a record names it or never will, and the files that it made useless are being removed.
"""

from pathlib import Path

from files.publishing import make_folder, sync
from files.storage import Storage

PENDING = ".pending"
SEPARATOR = "~"  # no id has one, and no upload


def announce(storage: Storage, upload: Path) -> Path:
    """Create the note for an upload of a track. Call this before the upload gets its final name. Returns the note."""
    note = storage.root / PENDING / f"{upload.parent.name}{SEPARATOR}{upload.name}"
    make_folder(note.parent)
    note.touch(exist_ok=False)
    sync(note.parent)
    return note


def decide(note: Path) -> Path:
    """End the wait of an upload: a record names it by now, or never will. Returns the note, which has another name."""
    return note if _is_decided(note) else note.rename(note.with_name(note.name + SEPARATOR))


def notes(storage: Storage) -> list[Path]:
    """The notes of all uploads, pending or decided."""
    return list((storage.root / PENDING).glob(f"*{SEPARATOR}*"))


def pending_uploads(storage: Storage) -> dict[Path, Path]:
    """The pending uploads, and the note of each."""
    return {upload_of(storage, note): note for note in notes(storage) if not _is_decided(note)}


def upload_of(storage: Storage, note: Path) -> Path:
    """The upload that a note stands for."""
    track_id, name = note.name.split(SEPARATOR)[:2]
    return storage.folder("track", track_id) / name


def _is_decided(note: Path) -> bool:
    return note.name.endswith(SEPARATOR)
