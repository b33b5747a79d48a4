"""Publishing: a finished file or folder gets its final name, and is whole on disk before it has it."""

import os
from pathlib import Path


def publish(work: Path, final: Path) -> None:
    """Give a finished folder its final name. Every file in it is on disk before."""
    for path in sorted(work.rglob("*")):
        sync(path)
    publish_file(work, final)


def publish_file(part: Path, final: Path) -> None:
    """Give a finished file its final name, in a folder that is made for it. The file is on disk before.

    Another process may remove that folder while it is empty: then it is made again.
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


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Each one is on disk before it is used."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
