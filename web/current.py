"""What the app of the current request works with: its settings, files, cache, events, limits and background threads."""

import threading
from dataclasses import dataclass, field
from typing import Protocol, cast

from flask import current_app

from files.storage import Storage
from files.tracks import TrackFiles
from records.events import Feed
from repos import JobStore
from settings import Settings
from web.limits import Limits

NAME = "ledger"


class Background(Protocol):
    """A thread that does its work again and again."""

    @property
    def name(self) -> str:
        """'housekeeping' or 'webhooks'."""

    def is_late(self) -> bool:
        """True when it has not done its work for three periods."""


@dataclass(frozen=True)
class Services:
    """Made once by create_app() and kept as app.extensions["ledger"]; stopping is set when the process is to end.

    background is empty for an app that no server runs.
    """

    settings: Settings
    storage: Storage
    track_files: TrackFiles
    job_store: JobStore
    feed: Feed
    limits: Limits
    stopping: threading.Event
    background: list[Background] = field(default_factory=list)

    def close(self) -> None:
        """End the thread of the feed and close the connection of the cache."""
        self.feed.close()
        self.job_store.close()


def services() -> Services:
    """The services of the current app."""
    return cast(Services, current_app.extensions[NAME])
