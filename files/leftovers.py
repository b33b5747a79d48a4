"""Leftovers: uploads of killed processes, and derived files without a source. Housekeeping removes them."""

from contextlib import suppress

from files import cache
from files.deletion import named
from files.pending import pending_uploads
from files.storage import Storage, is_old


def remove_leftovers(storage: Storage) -> None:
    """Remove old uploads that no record names, and derived files whose source is gone or changed."""
    _remove_pending(storage)
    cache.sweep(storage.root)


def _remove_pending(storage: Storage) -> None:
    """The note goes last: when this process is killed, too, the next one finds the upload again."""
    for upload, note in pending_uploads(storage).items():
        with suppress(FileNotFoundError):  # the upload ended meanwhile, or another process was here first
            if is_old(note):
                storage.remove({upload} - named(storage, [upload]))
                storage.remove_empty("track", upload.parent.name)
                note.unlink()
