"""Whether the process is alive, and whether it can do its work."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import peewee
from flask import Response
from playhouse.pool import MaxConnectionsExceeded

from database import schema_state, server_version
from settings import Settings
from web import schemas
from web.answers import json_answer
from web.current import services
from web.operations import Operations

routes = Operations("")


@routes.route("GET", "/healthz", answers={200: schemas.Health})
def healthz() -> Response:
    """The process is alive."""
    return json_answer({"status": "ok"})


@routes.route("GET", "/readyz", answers={200: schemas.Readiness, 503: schemas.Readiness})
def readyz() -> Response:
    """The database answers, its schema is current and the storage folder takes files; 503 says what does not."""
    settings = services().settings
    checks = {
        "database": _check(server_version),
        "schema": _check(_schema),
        "storage": _check(lambda: _storage(Path(settings.storage_dir))),
    }
    ready = all(check["ok"] for check in checks.values())
    status = "ready" if ready else "unavailable"
    return json_answer({"status": status, **checks, "generators": _generators(settings)}, 200 if ready else 503)


def _check(look: Callable[[], str]) -> dict[str, object]:
    """The detail look() returns, or why it failed."""
    try:
        return {"ok": True, "detail": look()}
    except (peewee.DatabaseError, peewee.InterfaceError, MaxConnectionsExceeded):
        return {"ok": False, "detail": "the database does not answer: check that it runs and can be reached"}
    except (OSError, RuntimeError) as error:
        return {"ok": False, "detail": getattr(error, "strerror", None) or str(error)}


def _generators(settings: Settings) -> dict[str, object]:
    """What the workers beside this process can run; jobs of another type wait, and nothing here is broken."""
    if settings.diffrhythm_command:
        return {"ok": True, "detail": "diffrhythm, synth"}
    return {"ok": False, "detail": "synth alone: jobs of type diffrhythm wait until DIFFRHYTHM_COMMAND is set"}


def _schema() -> str:
    pending, unknown = schema_state()
    if pending or unknown:
        raise RuntimeError("the schema is not this version's: restart the service to bring it up to date")
    return "current"


def _storage(folder: Path) -> str:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".readyz-")
    os.close(handle)
    os.unlink(name)
    return "writable"
