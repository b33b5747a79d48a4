"""Leftovers: files that killed processes were to remove, and derived files without a source. Housekeeping does it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from errors import LedgerError
from files import cache
from files.deletion import remove_unnamed
from files.pending import notes
from files.references import waiting_references
from files.removals import forget_removal, paths_of, record_of, removal_notes
from files.settling import settle
from files.storage import Storage, is_old
from repos import JobRepository, LoopRepository, TrackRepository

Needed = Callable[[Storage, set[Path]], set[Path]]
REPOS: dict[str, JobRepository | TrackRepository | LoopRepository] = {
    "job": JobRepository(),
    "track": TrackRepository(),
    "loop": LoopRepository(),
}


def remove_leftovers(storage: Storage, needed_elsewhere: Needed = lambda storage, paths: set()) -> None:
    """Finish uploads and deletions that ended too early, and sweep the cache of derived files.

    needed_elsewhere: returns those files that other databases need. If it raises a LedgerError, they stay for now.
    """
    _settle_uploads(storage)
    _finish_deletions(storage, needed_elsewhere)
    cache.sweep(storage.root)


def _settle_uploads(storage: Storage) -> None:
    for note in notes(storage):
        with suppress(FileNotFoundError):  # the upload ended meanwhile, or another process was here first
            if is_old(note):
                settle(storage, note)


def _finish_deletions(storage: Storage, needed_elsewhere: Needed) -> None:
    """The files of a record that is there stay: it was never deleted, or another one has its id."""
    for note in removal_notes(storage):
        with suppress(FileNotFoundError, LedgerError):  # the deletion ended meanwhile, or nobody knows who needs them
            if is_old(note):
                kind, record_id = record_of(note)
                if REPOS[kind].get_by_id(record_id) is None:
                    paths = paths_of(storage, note)
                    _remove(storage, paths - needed_elsewhere(storage, paths) - waiting_references(storage))
                forget_removal(note)


def _remove(storage: Storage, paths: set[Path]) -> None:
    remove_unnamed(storage, paths)
    for owner in {owner for path in paths if (owner := storage.owner(path))}:
        storage.remove_empty(*owner)
