"""Limits: the threads that call the app, the streams and waits that may be open, and the length of bodies."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from access.access import Access
from access.shares import LOOPBACK, Clients, Limit
from errors import SettingsError
from settings import Settings
from web import guard
from web.operations import Operation
from web.reading import BATCH_BYTES, BODY_BYTES, STRANGER_BYTES

THREADS = 4  # threads that call the app for reads, and the same number for writes. More threads make reads slower
OTHERS = 6  # other threads that use a connection: uploads (2), waits, housekeeping, webhooks, events
WAITS = 5000  # requests that wait until a job has finished or work is pending
MEGABYTE = 1_000_000
STARS = {f"/rest/{name}{end}" for name in ("star", "unstar") for end in ("", ".view")}  # players send them by GET
BATCHES = {"/api/jobs/batch", "/jobs/many"}  # the paths that take many jobs


@dataclass
class Limits:
    """How many requests of each kind may stay open, and which client an address belongs to.

    All threads of the app use the limits, each with the lock.
    """

    clients: Clients
    streams: Limit
    waits: Limit = field(default_factory=lambda: Limit(WAITS, "requests that wait"))
    lock: Lock = field(default_factory=Lock)


def make_limits(settings: Settings) -> Limits:
    """The limits of an app with these settings."""
    return Limits(Clients(settings.proxy_networks | LOOPBACK), Limit(settings.sse_limit, "event streams"))


def check_pool(settings: Settings) -> None:
    """Raise SettingsError if the PostgreSQL pool has fewer connections than the threads may use at the same time."""
    connections = 2 * THREADS + OTHERS
    if settings.is_postgresql and settings.db_pool_size < connections:
        raise SettingsError(
            f"DB_POOL_SIZE is {settings.db_pool_size}: the web process needs at least {connections} connections."
        )


def body_limit(app: Flask, settings: Settings, access: Access) -> Callable[[dict[str, Any]], int]:
    """A function for the server: how many bytes the body of a request may have, by the head of the request.

    It returns 0 if the guard refuses the head. Then the app answers without the body.
    """
    check = guard.Guard(settings, access)

    def limit(environ: dict[str, Any]) -> int:
        environ[guard.REFUSAL] = check.refusal(environ)
        if environ[guard.REFUSAL] is not None:
            return 0
        if not check.knows(environ):
            return STRANGER_BYTES
        if guard.path_of(environ) in BATCHES:
            return BATCH_BYTES
        return settings.max_upload_mb * MEGABYTE if is_upload(app, environ) else BODY_BYTES

    return limit


def is_read(environ: dict[str, Any]) -> bool:
    """True if a request changes nothing, so that it never waits for a lock of the database."""
    return environ["REQUEST_METHOD"] in guard.SAFE_METHODS and guard.path_of(environ) not in STARS


def is_upload(app: Flask, environ: dict[str, Any]) -> bool:
    """True if the body goes to a route that takes a file, which it must decode."""
    if environ["REQUEST_METHOD"] != "PUT":  # no other method has such a route, and this check is for every request
        return False
    try:
        endpoint, _ = app.create_url_adapter(app.request_class(environ)).match()  # type: ignore[union-attr]
    except HTTPException:
        return False
    view = app.view_functions[endpoint]
    return isinstance(view, Operation) and view.upload
