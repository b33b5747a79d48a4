"""Leftovers: uploads of killed processes, and derived files without a source. Housekeeping removes them."""

from contextlib import suppress

from files import cache
from files.pending import notes
from files.settling import settle
from files.storage import Storage, is_old


def remove_leftovers(storage: Storage) -> None:
    """Remove old uploads that no record names, and derived files whose source is gone or changed."""
    _settle_uploads(storage)
    cache.sweep(storage.root)


def _settle_uploads(storage: Storage) -> None:
    for note in notes(storage):
        with suppress(FileNotFoundError):  # the upload ended meanwhile, or another process was here first
            if is_old(note):
                settle(storage, note)
