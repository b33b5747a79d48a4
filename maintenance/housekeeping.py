"""Housekeeping: puts work with expired leases back, and deletes old rows and files. Any process may run it."""

import logging
import threading
import time
from datetime import timedelta
from itertools import takewhile

from database import AWAY, database, is_postgresql
from database.hints import skip_locked
from errors import LedgerError
from files.attempts import remove_attempt
from files.discards import Expiry
from files.leftovers import remove_leftovers
from files.references import remove_forgotten
from files.storage import Storage
from maintenance.archive.files import of_archives
from maintenance.archive.moves import finish_unfinished
from maintenance.clock import STEADY_SECONDS, WatchedClock
from maintenance.lease_watch import LeaseWatch
from maintenance.periodic import Periodic
from models import Delivery, Event, utc_now
from records.indexing import BATCH as JOBS
from records.indexing import index_batch, jobs_behind
from records.tally import fold_tally
from records.workers import forget_lost
from repos import JobRepository, LoopRepository
from settings import get_settings

log = logging.getLogger("ledger.housekeeping")
SECONDS = 2.0
HOURLY_SECONDS = 3600.0
FINISH_SECONDS = 60.0  # between two attempts to finish a move whose archive cannot be used
AHEAD = timedelta(days=1)  # rows from so far in the future were written while the clock was wrong
LARGE = 10_000  # jobs
DELIVERY_DAYS = 1.0  # webhooks.py gives up after the same time
BATCH, BATCHES = 500, 20  # rows in a batch; batches in a round
INDEX_BATCHES = 100  # batches of jobs that a round indexes, at most
BREATH_SECONDS = 0.05  # a pause between two batches, in which other connections write
REPOS = (JobRepository(), LoopRepository())


def start(storage: Storage, stopping: threading.Event, delivery_limit: int | None = None) -> Periodic:
    """Start housekeeping in a thread of this process.

    It ends when stopping is set. delivery_limit: as in Housekeeping.
    """
    return Periodic("housekeeping", SECONDS, Housekeeping(storage, stopping, delivery_limit).run, stopping).start()


class Housekeeping:
    """The housekeeping of one process.

    delivery_limit: how many of the newest undelivered webhooks are kept; None if this process delivers webhooks or if
    another process may deliver them.
    """

    def __init__(self, storage: Storage, stopping: threading.Event, delivery_limit: int | None = None) -> None:
        self.storage, self.stopping, self.delivery_limit = storage, stopping, delivery_limit
        self.clock, self.expiry = WatchedClock(), Expiry(storage)
        self.leases = {repo.name: LeaseWatch() for repo in REPOS}
        self._hourly_at = self._finish_at = time.monotonic()
        self._problem = ""  # why a move could not be finished

    def run(self) -> None:
        """Run one round."""
        self.requeue()
        self.finish_move()
        self.forget_old()
        self.expiry.run(of_archives)
        index_jobs(self.stopping)
        fold_tally()
        if self.delivery_limit is not None:
            limit_deliveries(self.delivery_limit)
        if time.monotonic() >= self._hourly_at:
            self._hourly_at = time.monotonic() + HOURLY_SECONDS
            optimise()
            forget_lost()
            self.remove_old_files()

    def forget_old(self) -> None:
        """Delete old events and deliveries, once the clock has run evenly for an hour: until then it may be wrong.

        Webhooks have tried each delivery in that time, also after a long stop.
        """
        if self.clock.is_steady():
            forget(self.stopping, Event, get_settings().event_retention_days)
            forget(self.stopping, Delivery, DELIVERY_DAYS)

    def requeue(self) -> None:
        """Put the work of lost leases back into the queue, and remove the files of the lost attempts.

        After the start of this process, a lease stays valid for at least half of its length. A worker that is alive
        renews it in that time.
        """
        for repo in REPOS:
            for record in repo.requeue(self.leases[repo.name].lost(repo.leases())):
                remove_attempt(self.storage, repo.name, record.record_id, str(record.lease_token))
                log.warning("%s %s: its worker was lost; it is %s", repo.name, record.record_id, record.status)

    def finish_move(self) -> None:
        """Finish a move to or from an archive whose process was killed. After a failure it tries again in a minute.

        It comes before forget_old(), because the events say what must be done. A failure does not hold up the rest.
        """
        if time.monotonic() >= self._finish_at:
            try:
                finish_unfinished(self.storage)
            except (LedgerError, OSError, *AWAY) as error:
                self._finish_at = time.monotonic() + FINISH_SECONDS
                if str(error) != self._problem:
                    log.warning("a move to or from an archive is not finished: %s", error)
                self._problem = str(error)
            else:
                self._problem = ""

    def remove_old_files(self) -> None:
        """Remove files that nobody needs any more, by their age: none in the hour after a jump of the clock.

        Until then, files that are in use may look old. Reference recordings stay also for an hour after the start.
        """
        if self.clock.seconds_since_jump() >= STEADY_SECONDS:
            self.remove_old_parts()
            remove_leftovers(self.storage, of_archives)
        if self.clock.is_steady():
            remove_forgotten(self.storage, of_archives)

    def remove_old_parts(self) -> None:
        """Remove old unfinished files, unless they belong to an attempt that has a lease."""
        self.storage.remove_old_parts(parts_in_use(self.storage))


def parts_in_use(storage: Storage) -> set[str]:
    """The names of the folders of unfinished files that belong to an attempt that has a lease."""
    return {storage.workshop(lease.token).name for repo in REPOS for lease in repo.leases()}


def index_jobs(stopping: threading.Event) -> None:
    """Add jobs to SQLite's search index, until less than a batch is missing. A search reads so few jobs one by one."""
    for _ in range(0 if is_postgresql() else INDEX_BATCHES):
        if jobs_behind() < JOBS or stopping.is_set():
            return
        index_batch()


def forget(stopping: threading.Event, model: type[Event | Delivery], days: float) -> None:
    """Delete events or deliveries that are older than these days; at most BATCHES batches in one call."""
    for _ in range(BATCHES):
        if prune(model, days) < BATCH or stopping.wait(BREATH_SECONDS):
            return


def prune(model: type[Event | Delivery], days: float) -> int:
    """Delete a batch of the oldest rows, those that are older than so many days. Returns their number.

    A row that is dated more than a day ahead was written while the clock was wrong. It is deleted together with a later
    row that is too old. With nothing to delete it costs one read.
    """
    before, ahead = utc_now() - timedelta(days=days), utc_now() + AHEAD
    in_order = model.select(model.event_id, model.created_at).order_by(model.event_id)
    oldest = in_order.where(model.created_at <= ahead).first()
    if oldest is None or oldest.created_at >= before:
        return 0
    with database.atomic():
        batch = skip_locked(in_order.limit(BATCH)).tuples()
        head = list(takewhile(lambda row: not before <= row[1] <= ahead, batch))
        last = max((event_id for event_id, created_at in head if created_at < before), default=oldest.event_id)
        event_ids = [event_id for event_id, _ in head if event_id <= last]
        return int(model.delete().where(model.event_id.in_(event_ids)).execute())


def limit_deliveries(limit: int) -> None:
    """Delete the oldest deliveries, so that only `limit` of them stay; at most BATCHES batches in one call."""
    newest = Delivery.select(Delivery.event_id).order_by(Delivery.event_id.desc())
    last = newest.offset(limit).limit(1).scalar()
    if last is not None:
        batch = Delivery.select(Delivery.event_id).where(Delivery.event_id <= last).order_by(Delivery.event_id)
        with database.atomic():
            Delivery.delete().where(Delivery.event_id.in_(skip_locked(batch.limit(BATCH * BATCHES)))).execute()


def optimise() -> None:
    """Tell SQLite to analyse its tables, so that it chooses the right index.

    Small tables are not analysed: their statistics would lead to the wrong index when the tables have grown.
    """
    if is_postgresql():
        return
    (newest,) = database.execute_sql("SELECT max(rowid) FROM job").fetchone()
    if newest is not None and newest > LARGE:
        database.execute_sql("PRAGMA analysis_limit = 400")
        database.execute_sql("PRAGMA optimize = 0x10002")  # also tables that were never analysed
