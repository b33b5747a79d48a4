"""What the app of the current request works with: its settings, files, cache, events and limits."""

import threading
from dataclasses import dataclass
from typing import cast

from flask import current_app

from files.storage import Storage
from files.tracks import TrackFiles
from records.events import Feed
from repos import JobStore
from settings import Settings
from web.limits import Limits

NAME = "ledger"


@dataclass(frozen=True)
class Services:
    """Made once by create_app() and kept as app.extensions["ledger"]; stopping is set when the process is to end."""

    settings: Settings
    storage: Storage
    track_files: TrackFiles
    job_store: JobStore
    feed: Feed
    limits: Limits
    stopping: threading.Event

    def close(self) -> None:
        """End the thread of the feed and close the connection of the cache."""
        self.feed.close()
        self.job_store.close()


def services() -> Services:
    """The services of the current app."""
    return cast(Services, current_app.extensions[NAME])
