"""Replaces an SQLite database by a restored one. A process that opens it finishes this, if the restore was killed.

`app.db.restoring` is a copy that is not complete or not checked yet: it counts for nothing. When it is complete, it is
renamed to `app.db.restored`. This decides that the database is replaced: whoever opens the database next finishes it.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

LOGS = ("-wal", "-journal")  # SQLite would replay them, so they must never stand beside another database


def unfinished(database: Path) -> Path:
    """The path of a copy that is being made."""
    return database.with_name(database.name + ".restoring")


def is_waiting(database: Path) -> bool:
    """True if a restore has decided to replace the database, and has not finished."""
    return _complete(database).exists()


def is_there(database: Path) -> bool:
    """True if the database exists, or will when a restore is finished."""
    return database.exists() or is_waiting(database)


def replace(database: Path) -> Path | None:
    """Replace the database by the unfinished copy, which is complete now and on disk. Returns what put_in_place() does.

    The caller has the exclusive lock, and no program has the database open.
    """
    os.rename(unfinished(database), _complete(database))
    _sync(database.parent)
    return put_in_place(database)


def put_in_place(database: Path) -> Path | None:
    """Finish replacing the database, if that is waiting. Returns the path that the database before it has now.

    None if there was no database before. The caller has the exclusive lock.
    """
    if not is_waiting(database):
        return None
    aside = _aside(database)
    _give_second_name(database, aside)
    for suffix in LOGS:
        with suppress(FileNotFoundError):
            os.rename(f"{database}{suffix}", f"{aside}{suffix}")
    Path(f"{database}-shm").unlink(missing_ok=True)
    _sync(database.parent)
    os.rename(_complete(database), database)
    _sync(database.parent)
    return aside if aside.exists() else None


def _complete(database: Path) -> Path:
    return database.with_name(database.name + ".restored")


def _aside(database: Path) -> Path:
    """The name for the present database. It is the same when this begins again after SIGKILL."""
    moment = datetime.fromtimestamp(_complete(database).stat().st_mtime, UTC)
    name = f"{database.name}.before-restore-{moment:%Y%m%dT%H%M%SZ}"
    names = (database.with_name(f"{name}-{number}" if number else name) for number in count())
    return next(path for path in names if _is_free(path, database))


def _is_free(path: Path, database: Path) -> bool:
    """True if nothing has this name, or the present database itself has."""
    return not path.exists() or not database.exists() or path.samefile(database)


def _give_second_name(database: Path, aside: Path) -> None:
    """Give the database a second name, so that it has its first one until the restored one takes it."""
    if not database.exists() or aside.exists():
        return
    try:
        os.link(database, aside)
    except OSError:  # a file system without hard links
        os.rename(database, aside)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
