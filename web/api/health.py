"""Health checks: say whether the process is alive, and whether it can do its work."""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import peewee
from flask import Response
from playhouse.pool import MaxConnectionsExceeded

from database import AWAY, require_file, schema_state, server_version
from database.damage import ADVICE, is_damaged
from database.file_identity import FileGone
from errors import StorageGone
from records.offers import offers
from settings import Settings
from web import schemas
from web.answers import json_answer
from web.current import Background, live_workers, services
from web.operations import Operations

routes = Operations("")
MIN_FREE_BYTES = 100_000_000  # room for two WAV files of five minutes
NOT_STARTED = {"webhooks": "off: WEBHOOK_URL is not set", "backups": "off: BACKUP_DIR is not set"}
BACKGROUND = ("housekeeping", "webhooks", "backups")

Check = dict[str, object]


class NotReady(Exception):
    """A part is not ready. The sentence has the reason and says what to do."""


@routes.route("GET", "/healthz", answers={200: schemas.Health})
def healthz() -> Response:
    """The process is alive."""
    return json_answer({"status": "ok"})


@routes.route("GET", "/readyz", answers={200: schemas.Readiness, 503: schemas.Readiness})
def readyz() -> Response:
    """Check every part. 503 if a part cannot work; detail says which part, and what to do."""
    settings = services().settings
    folder = Path(settings.storage_dir)
    looks: dict[str, Callable[[], str]] = {
        "database": partial(_look_at_database, settings),
        "schema": _look_at_schema,
        "storage": partial(_look_at_storage, folder),
        "disk": partial(_look_at_disk, settings),
        **{name: partial(_look_at_background, name) for name in BACKGROUND},
    }
    checks = {name: _check(look) for name, look in looks.items()}
    failures = [f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"]]
    status, detail = ("unavailable", "; ".join(failures)) if failures else ("ready", "every part can do its work")
    answer = {"status": status, "detail": detail, **checks, "generators": _generators(settings)}
    return json_answer(answer, 503 if failures else 200)


def _check(look: Callable[[], str]) -> Check:
    """Run one check: its detail, or the reason of its failure."""
    try:
        return {"ok": True, "detail": look()}
    except FileGone as error:
        return {"ok": False, "detail": str(error)}
    except (peewee.DatabaseError, peewee.InterfaceError, MaxConnectionsExceeded) as error:
        if is_damaged(error):
            return {"ok": False, "detail": f"the database is damaged: {ADVICE}"}
        return {"ok": False, "detail": "the database does not answer: check that it runs and can be reached"}
    except NotReady as error:
        return {"ok": False, "detail": str(error)}


def _look_at_database(settings: Settings) -> str:
    require_file()
    if not settings.is_postgresql:
        _write_in(settings.sqlite_path.parent, "the folder of the database", "DB_PATH")
    return server_version()


def _look_at_schema() -> str:
    pending, unknown = schema_state()
    if pending or unknown:
        raise NotReady("the schema is not the one of this version: restart the service to bring it up to date")
    return "current"


def _look_at_storage(folder: Path) -> str:
    try:
        services().storage.require_root()
    except StorageGone as error:
        raise NotReady(str(error)) from None
    _write_in(folder, "the storage folder", "STORAGE_DIR")
    return "writable"


def _write_in(folder: Path, name: str, setting: str) -> None:
    """Write a file in a folder, and remove it. Raises NotReady."""
    try:
        handle, path = tempfile.mkstemp(dir=folder, prefix=".readyz-")
        os.close(handle)
        os.unlink(path)
    except OSError as error:
        raise NotReady(
            f"no file can be written in {name} ({error.strerror}): "
            f"check that {setting} exists, that this user may write there, and that the disk has room"
        ) from None


def _look_at_disk(settings: Settings) -> str:
    """The least free space of the disks that hold the storage folder and the SQLite file."""
    folders = [Path(settings.storage_dir), *([] if settings.is_postgresql else [settings.sqlite_path.parent])]
    try:
        free = min(shutil.disk_usage(folder).free for folder in folders)
    except OSError as error:
        raise NotReady(
            f"the free space cannot be read ({error.strerror}): check the folders of STORAGE_DIR and DB_PATH"
        ) from None
    if free < MIN_FREE_BYTES:
        raise NotReady(f"the disk is nearly full, {free // 1_000_000} MB are free: delete jobs or other files")
    return f"{free // 1_000_000} MB are free"


def _look_at_background(name: str) -> str:
    threads: list[Background] = [thread for thread in services().background if thread.name == name]
    if not threads:
        return NOT_STARTED.get(name, "does not run in this process")
    if any(thread.is_late() for thread in threads):
        raise NotReady("has not run for three periods: read the log of the service, then restart it")
    return "runs"


def _generators(settings: Settings) -> Check:
    """The generators of this service and of the workers that run. Without one that can start, it is still ready."""
    try:
        present = offers(settings, live_workers())
    except AWAY:
        present = offers(settings, [])
    names = [offer["job_type"] for offer in present]
    broken = [offer["job_type"] for offer in present if not offer["can_start"]]
    if names == ["synth"]:
        return {"ok": False, "detail": "synth alone: put a recipe into generators.toml, or set DIFFRHYTHM_COMMAND"}
    cannot = f"; cannot start: {', '.join(broken)}; GET /api/generators and `flask generators` say why"
    return {"ok": not broken, "detail": ", ".join(names) + (cannot if broken else "")}
