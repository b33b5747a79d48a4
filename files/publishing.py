"""Publishes finished files and folders: writes them to disk completely, then gives them their final name."""

import os
import shutil
from pathlib import Path


def publish(work: Path, final: Path) -> None:
    """Write every file of a finished folder to disk, then give the folder its final name."""
    for path in sorted(work.rglob("*")):
        sync(path)
    publish_file(work, final)


def publish_file(part: Path, final: Path) -> None:
    """Write a finished file to disk, then give it its final name. Makes the folder if it does not exist.

    Another process may remove this folder while it is empty. Then it is made again.
    """
    sync(part)
    while True:
        try:
            make_folder(final.parent)
            os.rename(part, final)
            break
        except FileNotFoundError:
            if not part.exists():
                raise
    sync(final.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; on a file system without hard links, copy it.

    Raises FileNotFoundError, FileExistsError.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        shutil.copyfile(source, target)


def make_folder(folder: Path) -> None:
    """Make a folder and its parent folders. Each folder is on disk before it is used."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Write a file or a folder to disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
