"""What keeps the ledger tidy, in every web and worker process at once: it is safe to run anywhere, at any time."""

import logging
import threading
import time

from database import AWAY, database, is_postgresql, release_connection

from repos import JobRepository, LoopRepository
from storage import Storage

log = logging.getLogger("ledger.housekeeping")
SECONDS = 2.0
OPTIMISE_SECONDS = 3600.0


def start(storage: Storage, stopping: threading.Event) -> threading.Thread:
    """Keep house in a thread of this process until stopping is set."""
    thread = threading.Thread(target=_loop, args=(storage, stopping), daemon=True, name="housekeeping")
    thread.start()
    return thread


def keep_house(storage: Storage) -> None:
    """Put work whose lease ran out back, and remove the files its lost attempt left."""
    for repo in (JobRepository(), LoopRepository()):
        for late in repo.requeue_expired():
            storage.remove_attempt(repo.name, late.record_id, str(late.lease_token))
            log.warning("%s %s: its worker was lost; it is %s", repo.name, late.record_id, late.status)


def optimise() -> None:
    """Have SQLite look at its tables, so that it picks the right index."""
    if not is_postgresql():
        database.execute_sql("PRAGMA analysis_limit = 400")
        database.execute_sql("PRAGMA optimize = 0x10002")  # tables never looked at before, too


def _loop(storage: Storage, stopping: threading.Event) -> None:
    optimised = -OPTIMISE_SECONDS
    while not stopping.wait(SECONDS):
        try:
            keep_house(storage)
            if time.monotonic() - optimised > OPTIMISE_SECONDS:
                optimised = time.monotonic()
                optimise()
                storage.remove_old_parts()
        except (*AWAY, OSError) as error:
            log.warning("housekeeping goes on later: %s", error)
        release_connection()
