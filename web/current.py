"""The services of the current app: settings, files, events, limits and background threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from flask import current_app, g, request

from access.access import Access
from access.shares import Limit
from files.storage import Storage
from files.tracks import TrackFiles
from maintenance.traffic import Traffic
from models import Job, Loop, Track, Worker
from records import workers
from records.events import Feed
from settings import Settings
from web.kept import Kept
from web.limits import Limits

NAME = "ledger"


class Background(Protocol):
    """A thread that repeats its work."""

    @property
    def name(self) -> str:
        """The name of its work: 'housekeeping', 'webhooks' or 'backups'."""

    def is_late(self) -> bool:
        """True if it has not finished its work for three intervals."""


@dataclass(frozen=True)
class Services:
    """The services of one app. create_app() makes them and stores them as app.extensions["ledger"].

    stopping is set when the process must end. background is empty if the app runs without a server. kept has the JSON
    of records that are often read. traffic counts requests.
    """

    settings: Settings
    access: Access
    storage: Storage
    track_files: TrackFiles
    feed: Feed
    limits: Limits
    stopping: threading.Event
    background: list[Background] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    kept: dict[Any, Kept] = field(default_factory=lambda: {model: Kept(model) for model in (Job, Track, Loop)})

    def close(self) -> None:
        """End the thread of the feed, and store when tokens were last used."""
        self.feed.close()
        self.access.save_uses()


def services() -> Services:
    """The services of the current app."""
    return cast(Services, current_app.extensions[NAME])


def open_place(limit: Limit) -> Callable[[], None]:
    """Count the request as open. Returns the function that ends this. Raises Busy or TooMany."""
    limits = services().limits
    client = limits.clients.of(request.remote_addr or "")

    def give_back() -> None:
        with limits.lock:
            limit.give_back(client)

    with limits.lock:
        limit.take(client)
    return give_back


def live_workers() -> list[Worker]:
    """The worker processes that run. They are read once for each request."""
    if "workers" not in g:
        g.workers = workers.live()
    return cast("list[Worker]", g.workers)
