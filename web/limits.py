"""How many requests of each kind may use a thread of the server for long: one table, checked at start."""

from dataclasses import dataclass, field
from threading import BoundedSemaphore

from errors import SettingsError
from settings import Settings

WAITS = 32  # requests that wait for a job to finish or for something to claim
BODIES = 24  # request bodies that are being read
UPLOADS = 8  # files that are being uploaded
TRANSFERS = 40  # large files that are being sent
ENCODINGS = 16  # requests that wait for a file to be encoded or drawn
QUICK = 8  # all others: they answer at once, and each may hold a database connection
BACKGROUND = 3  # threads that use a connection beside requests: housekeeping, webhooks, events


@dataclass
class Limits:
    """One semaphore for each kind of long request; a request that finds none free is answered 503 at once."""

    streams: BoundedSemaphore
    waits: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(WAITS))
    bodies: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(BODIES))
    uploads: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(UPLOADS))
    transfers: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(TRANSFERS))
    encodings: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(ENCODINGS))


def server_threads(settings: Settings) -> int:
    """The threads a server of this app needs, so that long requests never take the last ones.

    Raises SettingsError when the pool of PostgreSQL has fewer connections than quick requests may use at once.
    """
    connections = QUICK + BACKGROUND
    if settings.is_postgresql and settings.db_pool_size < connections:
        raise SettingsError(
            f"DB_POOL_SIZE is {settings.db_pool_size}: the web process needs at least {connections} connections."
        )
    return WAITS + BODIES + UPLOADS + TRANSFERS + ENCODINGS + QUICK + settings.sse_limit
