"""The worker: claims jobs one after another and makes them; flask worker, or beside the web in python app.py."""

import logging
import os
import signal
import socket
import threading
import time

from database import AWAY, init_database, release_connection

import housekeeping
from models import Job
from repos import JobRepository
from settings import Settings, get_settings
from storage import Storage
from studio import display
from studio.attempt import Attempt
from studio.generators import configured

log = logging.getLogger("ledger.worker")
IDLE_SECONDS = 0.2
EXPLAIN_SECONDS = 2.0
LONGEST_PAUSE = 30.0


class Worker:
    """One job at a time; tick() is one look, run() looks until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.jobs = settings, JobRepository()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.generators = configured(settings)
        self.shutdown = threading.Event()
        self._explained = -EXPLAIN_SECONDS

    def run(self) -> None:
        """Work until shutdown is set. Outlives a database that is away and a disk that is full."""
        pause = IDLE_SECONDS
        log.info("worker %s runs %s", self.name, ", ".join(sorted(self.generators)))
        housekeeping.start(Storage(self.settings), self.shutdown)
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
        log.info("worker %s stopped", self.name)

    def tick(self, now: float) -> bool:
        """One look: do one job, or False when nothing waited; every few seconds say why what waits is not taken."""
        if now - self._explained >= EXPLAIN_SECONDS:
            self._explained = now
            self.explain()
        job = self.jobs.claim(self.name, self.settings.lease_seconds, Job.job_type.in_(list(self.generators)))
        if job is None:
            return False
        log.info("job %s claimed, attempt %s: %.60s", job.job_id, job.attempts, job.prompt.replace("\n", " "))
        outcome = Attempt(self.settings, job, self.generators[job.job_type], self.shutdown).run()
        display.show(job.job_id, outcome, 100 if outcome == "completed" else 0)
        return True

    def explain(self) -> None:
        """Tell jobs that wait for a generator nobody has here what to set."""
        strange = (Job.status == "pending", Job.message.is_null(), Job.job_type.not_in(list(self.generators)))
        for job in Job.select(Job.job_id, Job.job_type).where(*strange).limit(50):
            Job.update(message=missing(job.job_type)).where(Job.job_id == job.job_id, *strange).execute()


def missing(job_type: str) -> str:
    """What to set so that a job of this type is done."""
    if job_type == "diffrhythm":
        return "waits: no worker here runs DiffRhythm; set DIFFRHYTHM_COMMAND (see README) and start again"
    return f"waits: no worker here knows the job_type {job_type}; those known are diffrhythm and synth"


def main(parent: int | None = None) -> None:
    """Work until SIGTERM or Ctrl-C, or until the parent process is gone."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    settings = get_settings()
    init_database(settings)
    worker = Worker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.shutdown.set())
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent, worker.shutdown), daemon=True).start()
    worker.run()


def _end_with(parent: int, shutdown: threading.Event) -> None:
    while os.getppid() == parent and not shutdown.wait(0.5):
        pass
    shutdown.set()
