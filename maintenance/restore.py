"""Restores a backup: checks it, keeps the present database under another name, and puts the copy in its place."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from database import leave, restored
from database.in_use import exclusive
from errors import BackupFailed
from files.publishing import make_folder, sync
from files.storage import Storage
from maintenance import postgresql_restore, sqlite_copy
from maintenance.manifest import Backup, kind_of
from maintenance.reports import Report, silent
from maintenance.stored_files import StoredFiles, copy_with_digest
from maintenance.workplace import private, require_room
from settings import Settings

HEADER_BYTES = 28  # of the log and of the journal of SQLite


class Restored(NamedTuple):
    """The outcome: where the database before it is now (None: there was none), and the files that were put in place."""

    database_before: str | None
    files: int
    files_before: str | None  # the folder with files that were in the place of others


def restore(settings: Settings, source: Path, report: Report = silent) -> Restored:
    """Replace the database by that of a backup, and put its files into the storage folder.

    Raises BackupFailed, SchemaTooNew or DatabaseUnusable (it is in use), and OSError; then the database is as before.
    """
    leave()
    backup = Backup(source.resolve())  # SQLite's logs are beside the file itself, not beside a link to it
    if backup.kind != kind_of(settings):
        raise BackupFailed(
            f"The database in {source} is of the kind {backup.kind}, and the settings name the other kind: change "
            "DATABASE_URL, or move the records with `flask export` and `flask import`."
        )
    files = StoredFiles(Storage(settings), backup, report)
    if settings.is_postgresql:
        return _replace_files(files, postgresql_restore.restore(settings.database_url, backup, files, report))
    return _restore_sqlite(settings.sqlite_path.resolve(), backup, files, report)


def _replace_files(files: StoredFiles, before: str | None) -> Restored:
    """The last step, when the database is restored. Raises BackupFailed if a file cannot be replaced."""
    try:
        return Restored(before, len(files.listed), files.replace_others())
    except OSError as error:
        raise BackupFailed(
            f"The database is restored, and the previous one is {before}. A file cannot be replaced ({error}): correct "
            "this, then repeat the command."
        ) from None


def _restore_sqlite(path: Path, backup: Backup, files: StoredFiles, report: Report) -> Restored:
    make_folder(path.parent)
    with exclusive(path):
        restored.put_in_place(path)  # an earlier restore may have been killed
        copy = restored.unfinished(path)
        _remove(copy)
        try:
            _copy_checked(backup, copy, report)
            files.add_missing()
            _give_owner(path, copy)
            sync(copy)
            with files.before_replacing():
                before = _swap(path)
            return _replace_files(files, before)
        finally:
            _remove(copy)


def _swap(path: Path) -> str | None:
    if not path.exists():
        before = restored.replace(path)
    else:
        with sqlite_copy.alone(path):
            before = restored.replace(path)
    return str(before) if before else None


def _copy_checked(backup: Backup, copy: Path, report: Report) -> None:
    """Copy the database of a backup, and check the copy. Raises BackupFailed."""
    database = backup.database.resolve()
    _refuse_logs(database)
    size = database.stat().st_size
    require_room(copy.parent, size)
    with database.open("rb") as source, open(copy, "xb", opener=private) as target:
        _, digest = copy_with_digest(source, target, lambda done: report("copying the database", done, size))
    backup.require_digest(digest)
    backup.compare(sqlite_copy.check_copy(copy))


def _refuse_logs(database: Path) -> None:
    """Raise BackupFailed if SQLite would first apply a log to this file. A finished journal begins with zeros."""
    for suffix in restored.LOGS:
        log = Path(f"{database}{suffix}")
        with suppress(FileNotFoundError), log.open("rb") as file:
            if any(file.read(HEADER_BYTES)):
                raise BackupFailed(
                    f"{log.name} beside {database} has changes that are not in the file: close the program that uses "
                    "it, or use another backup."
                )


def _give_owner(database: Path, copy: Path) -> None:
    """Give the copy the mode and the owner of the present database, so that the service can open it."""
    if database.exists():
        shutil.copymode(database, copy)
        with suppress(PermissionError):
            os.chown(copy, database.stat().st_uid, database.stat().st_gid)


def _remove(copy: Path) -> None:
    for suffix in ("", "-shm", *restored.LOGS):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
