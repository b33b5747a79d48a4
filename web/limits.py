"""Limits how many long requests of each kind may run at the same time. The number of threads follows from them."""

from dataclasses import dataclass, field
from threading import BoundedSemaphore

from errors import SettingsError
from settings import Settings

WAITS = 32  # requests that wait until a job has finished or work is pending
BODIES = 24  # request bodies that are being read
UPLOADS = 8  # files that are being uploaded
TRANSFERS = 40  # large files that are being sent
ENCODINGS = 16  # requests that wait for a file to be encoded or drawn
QUICK = 8  # all other requests: they are short, and each may use a database connection
BACKGROUND = 3  # threads that use a connection beside requests: housekeeping, webhooks, events


@dataclass
class Limits:
    """One semaphore for each kind of long request. If it is used up, a request is answered 503 at once."""

    streams: BoundedSemaphore
    waits: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(WAITS))
    bodies: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(BODIES))
    uploads: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(UPLOADS))
    transfers: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(TRANSFERS))
    encodings: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(ENCODINGS))


def server_threads(settings: Settings) -> int:
    """The number of threads that the server needs, so that long requests never use all of them.

    Raises SettingsError if the PostgreSQL pool has fewer connections than quick requests may use at the same time.
    """
    connections = QUICK + BACKGROUND
    if settings.is_postgresql and settings.db_pool_size < connections:
        raise SettingsError(
            f"DB_POOL_SIZE is {settings.db_pool_size}: the web process needs at least {connections} connections."
        )
    return WAITS + BODIES + UPLOADS + TRANSFERS + ENCODINGS + QUICK + settings.sse_limit
