"""What keeps the ledger tidy, in every web and worker process at once: it is safe to run anywhere, at any time."""

import logging
import threading
import time
from datetime import timedelta

from database import AWAY, database, is_postgresql, release_connection
from database.hints import skip_locked
from files.leftovers import remove_leftovers
from files.storage import Storage
from models import Delivery, Event, utc_now
from repos import JobRepository, LoopRepository
from settings import get_settings

log = logging.getLogger("ledger.housekeeping")
SECONDS = 2.0
OPTIMISE_SECONDS = 3600.0
LARGE = 10_000  # jobs
DELIVERY_DAYS = 1.0  # after which webhooks.py gives up, too; without a WEBHOOK_URL nothing else deletes them
BATCH, BATCHES, BREATH_SECONDS = 500, 20, 0.05  # of rows to delete; in a round; between them others write


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


def forget(stopping: threading.Event, model: type[Event | Delivery], days: float) -> None:
    """Delete events or deliveries that are older than so many days; a part of them when there are many."""
    for _ in range(BATCHES):
        if prune(model, days) < BATCH or stopping.wait(BREATH_SECONDS):
            return


def prune(model: type[Event | Delivery], days: float) -> int:
    """Delete the first few rows that are older than so many days; how many. Nothing to delete costs one small read."""
    before = utc_now() - timedelta(days=days)
    oldest = model.select(model.event_id, model.created_at).order_by(model.event_id).first()
    if oldest is None or oldest.created_at >= before:
        return 0
    batch = skip_locked(model.select(model.event_id).order_by(model.event_id).limit(BATCH))
    with database.atomic():
        return int(model.delete().where(model.event_id.in_(batch), model.created_at < before).execute())


def optimise() -> None:
    """Have SQLite look at its tables, so that it picks the right index.

    Not while they are small: what it learns then misleads it once they have grown.
    """
    if is_postgresql():
        return
    (newest,) = database.execute_sql("SELECT max(rowid) FROM job").fetchone()
    if newest is not None and newest > LARGE:
        database.execute_sql("PRAGMA analysis_limit = 400")
        database.execute_sql("PRAGMA optimize = 0x10002")  # tables never looked at before, too


def _loop(storage: Storage, stopping: threading.Event) -> None:
    optimised = -OPTIMISE_SECONDS
    while not stopping.wait(SECONDS):
        try:
            keep_house(storage)
            forget(stopping, Event, get_settings().event_retention_days)
            forget(stopping, Delivery, DELIVERY_DAYS)
            if time.monotonic() - optimised > OPTIMISE_SECONDS:
                optimised = time.monotonic()
                optimise()
                storage.remove_old_parts()
                remove_leftovers(storage)
        except (*AWAY, OSError) as error:
            log.warning("housekeeping goes on later: %s", error)
        release_connection()
