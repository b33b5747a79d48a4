"""Unfinished backups and exports: made in a hidden folder beside their place, and given their name when complete."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import BackupFailed
from files.publishing import make_folder, publish, sync
from settings import Settings

PREFIX = ".unfinished-"


@contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """A new folder for an unfinished backup or export. It is locked, and removed at the end if it still has this name.

    Removes the folders of those that were killed: their locks have ended with their processes.
    """
    make_folder(parent)
    for path in parent.glob(f"{PREFIX}*"):
        _remove_if_unused(path)
    folder, handle = _locked_folder(parent)
    try:
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """In this block, no other process gives a backup in this folder its name."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def publish_new(work: Path, final: Path) -> None:
    """Write a file or folder to disk, and give it its final name, which nothing has yet. Raises BackupFailed."""
    if work.is_dir():
        refuse_existing(final)
        publish(work, final)
        return
    sync(work)
    try:
        os.link(work, final)
    except FileExistsError:
        refuse_existing(final)
    except OSError:  # a file system without hard links
        refuse_existing(final)
        os.rename(work, final)
    sync(final.parent)


def refuse_existing(path: Path) -> None:
    """Raise BackupFailed if something has this name."""
    if os.path.lexists(path):
        raise BackupFailed(f"{path} exists already: choose another name, or delete it first.")


def refuse_served(settings: Settings, path: Path) -> None:
    """Raise BackupFailed if a path is in the storage folder."""
    if path.resolve().is_relative_to(settings.storage_dir.resolve()):
        raise BackupFailed(f"{path} is in STORAGE_DIR: choose another folder, as that one is served to clients.")


def private(path: str, flags: int) -> int:
    """An opener for open(): a new file that only this user may read. Leases have their tokens in it."""
    return os.open(path, flags, 0o600)


def require_room(folder: Path, needed: int) -> None:
    """Raise BackupFailed if the disk of this folder has less than so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupFailed(
            f"The disk of {folder} is too full: {free // 1_000_000} MB are free, and {needed // 1_000_000 + 1} MB are "
            "needed. Make room, or choose another disk."
        )


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder and its lock. A process that begins at the same moment may remove it before it is locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            return folder, handle
        os.close(handle)


def _remove_if_unused(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # another process was faster
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)
