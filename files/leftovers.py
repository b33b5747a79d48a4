"""Removes leftovers for housekeeping: uploads of killed processes, and derived files without a source."""

from contextlib import suppress

from files import cache
from files.deletion import named
from files.pending import pending_uploads
from files.storage import Storage, is_old


def remove_leftovers(storage: Storage) -> None:
    """Remove old uploads that no record names, and derived files whose source was deleted or changed."""
    _remove_pending(storage)
    cache.sweep(storage.root)


def _remove_pending(storage: Storage) -> None:
    """Remove old pending uploads, then their notes. If this process is killed in between, the note is still there."""
    for upload, note in pending_uploads(storage).items():
        with suppress(FileNotFoundError):  # the upload has ended, or another process has removed the note
            if is_old(note):
                storage.remove({upload} - named(storage, [upload]))
                storage.remove_empty("track", upload.parent.name)
                note.unlink()
