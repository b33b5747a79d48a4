"""Makes backups, and lists those in BACKUP_DIR. A backup gets its name when it is complete, checked and on disk."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from database import restored
from database.half_restored import refuse_half_restored
from database.in_use import shared
from errors import BackupFailed
from files.storage import Storage, is_old, sha256
from maintenance import postgresql_copy, sqlite_copy
from maintenance.manifest import (
    DATABASES,
    FILES,
    IN_FOLDER,
    SUFFIX,
    Backup,
    Contents,
    Copied,
    Manifest,
    kind_of,
    manifest_beside,
    read_manifest,
)
from maintenance.reports import Report, silent
from maintenance.stored_files import copy_files
from maintenance.workplace import locked, publish_new, refuse_existing, refuse_served, require_room, workplace
from models import utc_now
from settings import VERSION, Settings

AHEAD_SECONDS = 86_400.0
PERIODS = 2  # of BACKUP_EVERY; an older backup is too old
PRIVATE = 0o600  # the mode of a dump of PostgreSQL; a copy of an SQLite database has the mode of that
DEFAULT_FOLDER = Path("backups")
FAULTY = "The database has a fault ({reason}), so no backup was made: `flask check` says what is wrong."
SUFFIXES = {"sqlite": ".db", "postgresql": ".dump"}
NAME = re.compile(r"ledger-\d{8}T\d{6}Z(-\d+)?(\.db|\.dump)")


def backup(settings: Settings, target: Path | None = None, files: bool = False, report: Report = silent) -> Backup:
    """Copy the database, and with files also the storage folder, while the service runs. Returns the backup.

    The default of target is a name with the time, in BACKUP_DIR or in ./backups. Raises BackupFailed, DatabaseUnusable
    and OSError; then nothing of the backup stays.
    """
    refuse_half_restored(settings.storage_dir)
    now = utc_now()
    folder = target.parent if target else settings.backup_dir or DEFAULT_FOLDER
    if target:
        _refuse_taken(target)
    refuse_served(settings, target or folder)
    with workplace(folder) as work:
        made = work / "backup"
        made.mkdir(0o700)
        database = made / DATABASES[kind_of(settings)]
        contents = _copy_database(settings, database, report)
        copied = list(copy_files(Storage(settings), made / FILES, report)) if files else None
        report("checking the backup", 0, 1)
        _check(settings, database, contents)
        _manifest(settings, now, database, contents, copied).write(made / IN_FOLDER)
        shutil.copymode(database, made / IN_FOLDER)
        with locked(folder):
            final = target or new_name(folder, now, kind_of(settings), files)
            _publish(made, final)
        report("checking the backup", 1, 1)
    return Backup(final)


def new_name(folder: Path, moment: datetime, kind: str, files: bool) -> Path:
    """A path in this folder for a new backup, with the time in its name. It is free as long as the folder is locked."""
    stem, suffix, number = f"ledger-{moment:%Y%m%dT%H%M%SZ}", "" if files else SUFFIXES[kind], 1
    path = folder / f"{stem}{suffix}"
    while os.path.lexists(path) or os.path.lexists(manifest_beside(path)):
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def good_backups(settings: Settings) -> Iterator[Backup]:
    """The good backups of this kind of database in BACKUP_DIR, the newest name first; none without BACKUP_DIR.

    Only backups of the database alone, with a name that this program has chosen.
    """
    folder = settings.backup_dir
    for path in sorted(_named(folder), reverse=True) if folder else ():
        with suppress(BackupFailed, OSError):  # it is damaged, cannot be read, or was deleted meanwhile
            listed = Backup(path)
            if listed.is_good() and listed.kind == kind_of(settings):
                yield listed


def _named(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if NAME.fullmatch(name)]
    except OSError:  # there is no such folder yet, or its disk is not mounted
        return []


def newest_backup_age(settings: Settings) -> float | None:
    """The age in seconds of the newest good backup in BACKUP_DIR; None if there is none, or no BACKUP_DIR.

    A backup from the future was made while the clock was wrong, and does not count.
    """
    ages = ((utc_now() - made_at(one)).total_seconds() for one in good_backups(settings))
    return next((max(0.0, age) for age in ages if age > -AHEAD_SECONDS), None)


def is_due(settings: Settings) -> bool:
    """True if the newest good backup in BACKUP_DIR is older than BACKUP_EVERY, or if there is none."""
    age = newest_backup_age(settings)
    return age is None or age >= settings.backup_every.total_seconds()


def remove_surplus(settings: Settings) -> None:
    """Delete the oldest of the good backups in BACKUP_DIR, so that BACKUP_KEEP stay.

    A backup from the future counts as the oldest.
    """
    ahead = utc_now() + timedelta(seconds=AHEAD_SECONDS)
    newest_first = sorted(good_backups(settings), key=lambda one: (made_at(one) <= ahead, made_at(one)), reverse=True)
    for surplus in newest_first[settings.backup_keep :]:
        surplus.path.unlink(missing_ok=True)  # the database first: a manifest alone stands for nothing
        manifest_beside(surplus.path).unlink(missing_ok=True)


def made_at(good: Backup) -> datetime:
    """When a good backup was made."""
    assert good.manifest is not None
    return good.manifest.made_at


def is_too_old(settings: Settings, age: float | None) -> bool:
    """True if backups are made regularly, and this age of the newest one is over two periods, or there is none."""
    return settings.backup_dir is not None and (age is None or age > PERIODS * settings.backup_every.total_seconds())


def backup_warning(settings: Settings) -> str | None:
    """A sentence if the newest automatic backup is too old; None if all is well."""
    age = newest_backup_age(settings)
    if not is_too_old(settings, age):
        return None
    if age is None:
        return "There is no backup yet: see the log of the service if this does not change soon."
    return f"The newest backup is {round(age / 3600)} hours old: see the log of the service for the reason."


def _copy_database(settings: Settings, target: Path, report: Report) -> Contents:
    if settings.is_postgresql:
        contents = postgresql_copy.dump_database(settings.database_url, target, report)
        target.chmod(PRIVATE)
        return contents
    path = settings.sqlite_path.resolve()
    if not restored.is_there(path):
        raise BackupFailed(f"There is no database {path}: check DB_PATH and DATABASE_URL.")
    with shared(path):
        require_room(target.parent, path.stat().st_size)
        contents = sqlite_copy.copy_database(path, target, report)
        shutil.copymode(path, target)
        return contents


def _check(settings: Settings, database: Path, contents: Contents) -> None:
    """Read the whole copy. Raises BackupFailed if it has not what the database had."""
    if settings.is_postgresql:
        copied = postgresql_copy.check_dump(database, postgresql_copy.current_schema(settings.database_url))
    else:
        copied = sqlite_copy.check_copy(database, FAULTY)
    if copied != contents:
        raise BackupFailed(
            f"The copy has {_numbers(copied)}, and the database had {_numbers(contents)}. The copy was deleted, and "
            "the database has not changed: repeat the command."
        )


def _manifest(
    settings: Settings, made_at: datetime, database: Path, contents: Contents, files: list[Copied] | None
) -> Manifest:
    """The manifest of a copy that was checked."""
    return Manifest(
        made_at=made_at,
        program=VERSION,
        database=kind_of(settings),
        size=database.stat().st_size,
        sha256=sha256(database),
        migrations=contents.migrations,
        counts=contents.counts,
        files=files,
    )


def _numbers(contents: Contents) -> str:
    return ", ".join(f"{number} {name}" for name, number in contents.counts.items())


def _publish(made: Path, final: Path) -> None:
    """Give a finished backup its name. A backup that is one file counts from the moment when the database has its name.

    The manifest comes first. If the process is killed in between, the manifest alone is left, and stands for nothing.
    The folder is locked, so no other process does the same meanwhile. Raises BackupFailed if the name is taken.
    """
    _refuse_taken(final)
    _remove_lone_manifests(final)
    if (made / FILES).exists():
        publish_new(made, final)
        return
    [database] = (path for path in made.iterdir() if path.name in DATABASES.values())
    publish_new(made / IN_FOLDER, manifest_beside(final))
    publish_new(database, final)


def _refuse_taken(final: Path) -> None:
    """Raise BackupFailed if a backup of this name exists, or another file has the name of its manifest."""
    refuse_existing(final)
    if not _is_lone_manifest(manifest_beside(final)):
        refuse_existing(manifest_beside(final))


def _remove_lone_manifests(final: Path) -> None:
    """Remove what killed backups left: the manifest for this name, and those in this folder that are an hour old."""
    chosen = (path for path in final.parent.glob(f"ledger-*{SUFFIX}") if NAME.fullmatch(path.name.removesuffix(SUFFIX)))
    for path in [manifest_beside(final), *chosen]:
        with suppress(FileNotFoundError):
            if _is_lone_manifest(path) and (path == manifest_beside(final) or is_old(path)):
                path.unlink()


def _is_lone_manifest(path: Path) -> bool:
    """True for the manifest of a backup that does not exist."""
    try:
        return read_manifest(path) is not None and not path.with_name(path.name.removesuffix(SUFFIX)).exists()
    except BackupFailed:
        return False
