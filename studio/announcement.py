"""Announces this worker process in the database, with what it can make, as long as it runs."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from database import AWAY, release_connection
from generators.catalogue import catalogue
from generators.description import describe
from maintenance.periodic import Periodic
from models import utc_now
from records import workers
from settings import Settings

SECONDS = 20.0  # a third of the time after which a worker counts as lost
JOIN_SECONDS = 3.0


def process_name() -> str:
    """The name of this process as a worker: that of its leases, and of its row."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def announced(settings: Settings, makes_jobs: bool, shutdown: threading.Event) -> Iterator[None]:
    """A block in which this process has its row. It must set shutdown before it ends.

    A thread renews the row. If the database is away, work is not disturbed: the row is written later. If this process
    is killed, its row stays, and readers ignore it after a minute.
    """
    name, host, started_at = process_name(), socket.gethostname(), utc_now()

    def renew() -> None:
        workers.announce(name, host, started_at, _descriptions(settings) if makes_jobs else {})

    thread = Periodic("announcement", SECONDS, renew, shutdown)
    thread.run_once()
    with suppress(*AWAY):
        release_connection()
    thread.start()
    try:
        yield
    finally:
        thread.join(JOIN_SECONDS)
        with suppress(*AWAY):
            workers.withdraw(name)
            release_connection()


def _descriptions(settings: Settings) -> dict[str, Any]:
    return {name: describe(recipe) for name, recipe in catalogue(settings).items()}
