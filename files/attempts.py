"""The folders of attempts: removes what attempts without a result have left. Files that a record names stay."""

from contextlib import suppress
from pathlib import Path

from errors import StorageGone
from files.deletion import remove_unnamed
from files.storage import Storage, is_attempt, remove_tree


def remove_attempt(storage: Storage, kind: str, record_id: str, lease_token: str) -> None:
    """Remove the unfinished files of an attempt, and its results that no record names. A token may name no attempt."""
    remove_workshop(storage, lease_token)
    results = storage.attempt(kind, record_id, lease_token)
    if is_attempt(results):
        _remove_results(storage, results)


def remove_workshop(storage: Storage, lease_token: str) -> None:
    """Remove the unfinished files of an attempt."""
    try:
        workshop = storage.workshop(lease_token)
    except StorageGone:  # with all that is in it
        return
    if is_attempt(workshop):
        remove_tree(workshop)


def remove_earlier_attempts(storage: Storage, kind: str, record_id: str) -> None:
    """Remove the results of all attempts at a record that no record names."""
    for results in storage.attempts(kind, record_id):
        _remove_results(storage, results)


def _remove_results(storage: Storage, folder: Path) -> None:
    """Remove the files of a folder that no record names, and then the folders that are empty."""
    remove_unnamed(storage, [path for path in folder.rglob("*") if path.is_file()])
    for place in sorted([folder, *(path for path in folder.rglob("*") if path.is_dir())], reverse=True):
        with suppress(OSError):  # a folder that is not empty stays
            place.rmdir()
