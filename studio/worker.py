"""The workers: one claims jobs, one claims loops, and makes them; flask worker, or beside the web in python app.py."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from errno import ENOSPC
from typing import Any, ClassVar

from database import AWAY, init_database, release_connection
from files.storage import Storage
from maintenance import housekeeping
from models import Job
from records.leases import WorkRepository
from repos import JobRepository, LoopRepository
from settings import Settings, get_settings
from studio import display
from studio.attempt import FULL_DISK, Attempt
from studio.generators import configured
from studio.loops import LoopAttempt
from studio.songs import SongAttempt

log = logging.getLogger("ledger.worker")
IDLE_SECONDS = 0.2
EXPLAIN_SECONDS = 2.0
LONGEST_PAUSE = 30.0
JOIN_SECONDS = 3.0


class Worker:
    """One piece of work at a time; tick() is one look, run() looks until it is told to stop."""

    repo: ClassVar[WorkRepository[Any]]

    def __init__(self, settings: Settings, shutdown: threading.Event | None = None) -> None:
        self.settings, self.shutdown, self.storage = settings, shutdown or threading.Event(), Storage(settings)
        self.storage.root.mkdir(parents=True, exist_ok=True)
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def claim(self, now: float) -> Any:
        """The record to work on next, leased to this worker; None when nothing waits."""
        return self.repo.claim(self.name, self.settings.lease_seconds)

    def attempt(self, record: Any) -> Attempt:
        """What to do with a claimed record."""
        raise NotImplementedError

    def run(self) -> None:
        """Work until shutdown is set. Outlives a database that is away and a disk that is full."""
        pause = IDLE_SECONDS
        while not self.shutdown.is_set():
            try:
                busy = self.tick(time.monotonic())
                pause = IDLE_SECONDS
                if not busy:
                    self.shutdown.wait(pause)
            except (*AWAY, OSError) as error:
                pause = min(pause * 2, LONGEST_PAUSE)
                log.error("worker %s waits %.1f s, then goes on: %s", self.name, pause, error)
                release_connection()
                self.shutdown.wait(pause)
        release_connection()
        log.info("worker %s makes no more %ss", self.name, self.repo.name)

    def tick(self, now: float) -> bool:
        """One look: do one piece of work, or False when nothing waited. Raises OSError for a full disk."""
        if self.storage.is_full():
            raise OSError(ENOSPC, FULL_DISK)
        record = self.claim(now)
        if record is None:
            return False
        attempt = self.attempt(record)
        log.info("%s claimed, attempt %s: %.60s", attempt.name, record.attempts, attempt.about)
        outcome = attempt.run()
        display.show(attempt.name, outcome, 100 if outcome == self.repo.statuses.completed else 0)
        return True


class JobWorker(Worker):
    """Makes the jobs it has a generator for."""

    repo = JobRepository()

    def __init__(self, settings: Settings, shutdown: threading.Event | None = None) -> None:
        super().__init__(settings, shutdown)
        self.generators = configured(settings)
        self._explained = -EXPLAIN_SECONDS
        log.info("worker %s makes jobs of type %s", self.name, ", ".join(sorted(self.generators)))

    def claim(self, now: float) -> Any:
        """See Worker; when nothing can be done, say every few seconds why what waits is not taken."""
        job = self.repo.claim_of(self.generators, self.name, self.settings.lease_seconds)
        if job is None and now - self._explained >= EXPLAIN_SECONDS:
            self._explained = now
            self.explain()
        return job

    def attempt(self, record: Any) -> Attempt:
        """See Worker."""
        return SongAttempt(self.settings, record, self.shutdown, self.generators[record.job_type])

    def explain(self) -> None:
        """Tell jobs that wait for a generator nobody has here what to set."""
        strange = (Job.status == "pending", Job.message.is_null(), Job.job_type.not_in(list(self.generators)))
        for job in Job.select(Job.job_id, Job.job_type).where(*strange).limit(50):
            Job.update(message=missing(job.job_type)).where(Job.job_id == job.job_id, *strange).execute()


class LoopWorker(Worker):
    """Cuts loops."""

    repo = LoopRepository()

    def attempt(self, record: Any) -> Attempt:
        """See Worker."""
        return LoopAttempt(self.settings, record, self.shutdown)


WORKERS: dict[str, type[Worker]] = {"jobs": JobWorker, "loops": LoopWorker}


def missing(job_type: str) -> str:
    """What to set so that a job of this type is done."""
    if job_type == "diffrhythm":
        return "waits: no worker here runs DiffRhythm; set DIFFRHYTHM_COMMAND (see README) and start again"
    return f"waits: no worker here knows the job_type {job_type}; those known are diffrhythm and synth"


def main(kinds: Collection[str] = tuple(WORKERS), parent: int | None = None) -> None:
    """Make these kinds of work side by side until SIGTERM or Ctrl-C, or until the parent process is gone."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    settings, shutdown = get_settings(), threading.Event()
    init_database(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shutdown.set())
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent, shutdown), daemon=True).start()
    keeper = housekeeping.start(Storage(settings), shutdown)
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(_run, WORKERS[kind](settings, shutdown)) for kind in kinds]
    keeper.join(JOIN_SECONDS)  # not to leave while it talks to the database
    for each in running:
        each.result()


def _run(worker: Worker) -> None:
    try:
        worker.run()
    finally:
        worker.shutdown.set()  # one that fails takes the others along, so that the process is started again


def _end_with(parent: int, shutdown: threading.Event) -> None:
    while os.getppid() == parent and not shutdown.wait(0.5):
        pass
    shutdown.set()
