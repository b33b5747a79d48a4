"""The workers: JobWorker claims and makes jobs, LoopWorker claims and cuts loops."""

import gc
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from errno import ENOSPC
from types import FrameType
from typing import Any, ClassVar

from database import AWAY, init_database, release_connection
from errors import LedgerError
from files.child import on_death_of_parent
from files.storage import Storage
from generators.catalogue import catalogue
from maintenance import automatic, housekeeping
from maintenance.logs import log_to_stderr
from records import workers
from records.leases import WorkRepository
from records.offers import why_not_made
from repos import JobRepository, LoopRepository
from settings import Settings, get_settings
from studio import display
from studio.announcement import announced, process_name
from studio.attempt import FULL_DISK, Attempt
from studio.loops import LoopAttempt
from studio.songs import SongAttempt
from studio.warm import Warm

log = logging.getLogger("ledger.worker")
IDLE_SECONDS = 0.2
LOOK_SECONDS = 30.0
ASK_SECONDS = 1.0
LONGEST_PAUSE = 30.0
JOIN_SECONDS = 3.0
WAKE_SECONDS = 0.5


class Worker:
    """Does one job or loop at a time: tick() claims and does one, run() repeats tick() until shutdown is set.

    The transaction that completes a job or loop also claims the next one, for the next tick().
    """

    repo: ClassVar[WorkRepository[Any]]

    def __init__(self, settings: Settings, shutdown: threading.Event | None = None) -> None:
        self.settings, self.shutdown, self.storage = settings, shutdown or threading.Event(), Storage(settings)
        self.storage.root.mkdir(parents=True, exist_ok=True)
        self.name = process_name()
        self.claimed: Any = None
        self.unanswered: str | None = None  # the token of a claim that may be committed without an answer

    def claim(self) -> Any:
        """Lease the next record to this worker; None if nothing is pending.

        Until the commit is answered, its token is in `unanswered`.
        """
        self.unanswered = uuid.uuid4().hex
        record = self.lease(self.unanswered)
        if record is None:
            self.unanswered = None
        return record

    def lease(self, token: str) -> Any:
        """Lease the next record with this token, or return None."""
        return self.repo.claim(self.name, self.settings.lease_seconds, token)

    def attempt(self, record: Any) -> Attempt:
        """The attempt at a claimed record."""
        raise NotImplementedError

    def run(self) -> None:
        """Work until shutdown is set. After any error (the database is away, the disk is full), wait and go on."""
        pause = IDLE_SECONDS
        while not self.shutdown.is_set():
            try:
                busy = self.tick(time.monotonic())
                pause = IDLE_SECONDS
                if not busy:
                    self.shutdown.wait(pause)
            except Exception as error:
                pause = min(pause * 2, LONGEST_PAUSE)
                defect = None if isinstance(error, (*AWAY, OSError)) else error
                log.error("worker %s waits %.1f s, then goes on: %s", self.name, pause, error, exc_info=defect)
                self.put_back()
                release_connection()
                self.shutdown.wait(pause)
        self.put_back()
        release_connection()
        log.info("worker %s makes no more %ss", self.name, self.repo.name)

    def tick(self, now: float) -> bool:
        """Claim and do one job or loop. False if nothing is pending. Raises OSError for a full disk, and AWAY."""
        record, self.claimed = self.claimed or self.look(now), None
        if record is None:
            return False
        attempt = self.attempt(record)
        attempt.claim = self.claim
        log.info("%s claimed, attempt %s: %.60s", attempt.name, record.attempts, attempt.about)
        try:
            outcome = attempt.run()
        finally:
            self.claimed = attempt.next_record
            self.unanswered = self.unanswered if self.claimed is None else None
        display.show(attempt.name, outcome, 100 if outcome == self.repo.statuses.completed else 0)
        return True

    def look(self, now: float) -> Any:
        """Lease the next record; None if nothing is pending. Raises OSError if the disk is full, and StorageGone."""
        self.storage.require_root()
        if self.storage.is_full():
            raise OSError(ENOSPC, FULL_DISK)
        self.release_unanswered()
        record, self.unanswered = self.claim(), None
        return record

    def put_back(self) -> None:
        """Release the record of the next tick(), if any. If the database does not answer, the lease expires."""
        record, self.claimed = self.claimed, None
        with suppress(LedgerError, *AWAY):
            if record is not None:
                self.repo.release(record.record_id, record.lease_token)
            self.release_unanswered()

    def release_unanswered(self) -> None:
        """Release what an earlier claim has leased if its commit was not answered. Raises AWAY."""
        if self.unanswered is not None:
            self.repo.release_token(self.unanswered)
            self.unanswered = None


class JobWorker(Worker):
    """Makes the jobs that it has a recipe for. It never changes a job that it did not claim.

    It reserves a GPU before it claims a job that needs it, so that a job never waits for one with its lease.
    """

    repo = JobRepository()

    def __init__(self, settings: Settings, shutdown: threading.Event | None = None) -> None:
        super().__init__(settings, shutdown)
        self.recipes, self.warm = catalogue(settings), Warm()
        self.gpus = {recipe.gpu for recipe in self.recipes.values() if recipe.gpu}
        self._looked_at = self._asked_at = -LOOK_SECONDS
        self._logged_types: set[str] = set()
        self._is_warned = False
        log.info("worker %s makes jobs of type %s", self.name, ", ".join(sorted(self.recipes)))

    def run(self) -> None:
        """The same as in Worker. Meanwhile, a thread stops warm generators that nobody needs."""
        threading.Thread(target=self.warm.watch, args=[self.shutdown], daemon=True).start()
        try:
            super().run()
        finally:
            self.warm.close()

    def tick(self, now: float) -> bool:
        """The same as in Worker. Afterwards only the GPU of the next job is reserved."""
        try:
            return super().tick(now)
        finally:
            self._reserve_only(self.claimed)

    def lease(self, token: str) -> Any:
        """Lease a job that this worker has a recipe and a free GPU for, or return None."""
        free = {gpu for gpu in self.gpus if self._can_use(self.warm.reserve, gpu)}
        types = [name for name, recipe in self.recipes.items() if recipe.gpu is None or recipe.gpu in free]
        job = self.repo.claim_of(types, self.name, self.settings.lease_seconds, token)
        self._reserve_only(job)
        return job

    def put_back(self) -> None:
        """The same as in Worker, and no GPU stays reserved."""
        super().put_back()
        self._reserve_only(None)

    def look(self, now: float) -> Any:
        """The same as in Worker. If it returns None, it checks now and then for the other pending jobs."""
        job = super().look(now)
        if job is None and self.gpus and now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            self.ask_for_gpus()
        if job is None and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self.log_other_types()
        return job

    def attempt(self, record: Any) -> Attempt:
        """An attempt with the recipe of the job's type. Until it ends, this worker asks for no GPU."""
        for gpu in self.gpus:
            self.warm.withdraw(gpu)
        return SongAttempt(self.settings, record, self.shutdown, self.recipes[record.job_type], self.warm)

    def ask_for_gpus(self) -> None:
        """Ask for the GPUs that pending jobs wait for: another worker may have a loaded model on them."""
        waiting = self.repo.waiting_types()
        needed = {recipe.gpu for name, recipe in self.recipes.items() if name in waiting}
        for gpu in self.gpus:
            self._can_use(self.warm.ask if gpu in needed else self.warm.withdraw, gpu)

    def log_other_types(self) -> None:
        """Log the pending jobs of types that this worker cannot make, and what to set; once for each type."""
        waiting = self.repo.waiting_types()
        others = sorted(waiting.keys() - self.recipes.keys() - self._logged_types)
        live = workers.live() if others else []
        for job_type in others:
            if reason := why_not_made(self.settings, job_type, live):
                self._logged_types.add(job_type)
                log.warning("%s of type %s wait: %s", waiting[job_type], job_type, reason)

    def _can_use(self, act: Callable[[str], bool | None], gpu: str) -> bool:
        """What act() says of a GPU. False, with one warning, if the folder of locks cannot be used."""
        try:
            return bool(act(gpu))
        except OSError as error:
            if not self._is_warned:
                log.warning("worker %s makes no job that needs a GPU: %s", self.name, error)
            self._is_warned = True
            return False

    def _reserve_only(self, job: Any) -> None:
        """End the reservation of every GPU that this job does not need."""
        needed = self.recipes[job.job_type].gpu if job is not None else None
        for gpu in self.gpus - {needed}:
            self.warm.leave(gpu)


class LoopWorker(Worker):
    """Cuts loops."""

    repo = LoopRepository()

    def attempt(self, record: Any) -> Attempt:
        """An attempt at a loop."""
        return LoopAttempt(self.settings, record, self.shutdown)


WORKERS: dict[str, type[Worker]] = {"jobs": JobWorker, "loops": LoopWorker}


def main(kinds: Collection[str] = tuple(WORKERS), parent: int | None = None) -> None:
    """Run one worker of each kind in threads until SIGTERM or Ctrl-C, or until the parent process has ended."""
    gc.freeze()  # as in app.py
    settings, shutdown = get_settings(), threading.Event()
    log_to_stderr(settings)
    init_database(settings)
    stop_at_signals(shutdown)
    if parent is not None:
        on_death_of_parent(parent, shutdown.set)
    background = [housekeeping.start(Storage(settings), shutdown), *automatic.threads(settings, shutdown)]
    with announced(settings, "jobs" in kinds, shutdown), ThreadPoolExecutor() as pool:
        running = [pool.submit(_run, WORKERS[kind](settings, shutdown)) for kind in kinds]
        while wait(running, WAKE_SECONDS).not_done:
            pass  # Python handles a signal when this thread wakes up
    for thread in background:
        thread.join(JOIN_SECONDS)  # so that the process does not end during a statement of housekeeping
    for worker in running:
        worker.result()


def stop_at_signals(shutdown: threading.Event) -> None:
    """Set shutdown at the first SIGTERM or Ctrl-C, and ignore the following ones.

    Ctrl-C in a terminal sends SIGINT to a worker, and then its parent sends SIGTERM. A second handler inside of set()
    would wait for ever for the lock that the first one holds.
    """
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        shutdown.set()

    for number in signals:
        signal.signal(number, stop)


def _run(worker: Worker) -> None:
    try:
        worker.run()
    finally:
        worker.shutdown.set()  # if one worker fails, all end, and the process is started again
