"""Refuses the database while the files in the storage folder are partly those of the database before a restore.

A restore with files leaves a marker in the storage folder: from the moment before it replaces the database, until the
last file is in its place. SQLite and PostgreSQL alike.
"""

import os
from pathlib import Path

from errors import DatabaseUnusable


def marker(storage: Path) -> Path:
    """The path of the marker in a storage folder. The marker has the path of the backup in it."""
    return storage / ".unfinished-restore"


def refuse_half_restored(storage: Path) -> None:
    """Raise DatabaseUnusable if a restore was interrupted before all of its files were in their places.

    A program that may not look into the storage folder, such as a script of another user, uses no files: it may go on.
    """
    if not os.path.lexists(marker(storage)):
        return
    try:
        source = os.fsdecode(marker(storage).read_bytes())
    except OSError:
        source = "SRC"
    raise DatabaseUnusable(
        f"The restore of {source} was interrupted, and its files are not all in their places: repeat "
        f"`flask restore {source}`."
    )
