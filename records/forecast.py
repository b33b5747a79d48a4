"""Forecasts when the jobs of the queue are done: it lets the workers that run make them, one after another.

It reads a bounded number of rows, whatever the length of the queue: the jobs that run, the first of those that wait,
and the last finished jobs of their types.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from database import database, is_postgresql
from database.queue import FINISHED
from generators.orders import read_seconds
from models import JOB_STATUSES, Job, Worker, utc_now
from records import waiting, workers
from records.jobs import JobRepository
from records.offers import announced
from records.pace import NEVER, NOW, Estimate, Pace, Sample, pace_of
from records.pages import Page
from records.writes import placed

MOST_PLANNED = 500  # waiting jobs
MOST_TYPES = 20
MOST_RUNNING = 200
LAST = 50  # finished jobs of a type


@dataclass
class Forecast:
    """When jobs are done, from now on; if the queue is paused, from the moment when it goes on.

    positions: of the first waiting jobs, from 1. done_in: by id, of these and of the running ones; None if nobody
    knows. all_done_in: the whole queue; None if it is empty, or has a job about which nobody knows.
    """

    running: list[Job]
    waiting: int
    positions: dict[str, int] = field(default_factory=dict)
    done_in: dict[str, Estimate | None] = field(default_factory=dict)
    all_done_in: Estimate | None = None


@dataclass
class Runner:
    """What makes one job at a time: a worker. free: when it can begin the next job. gpus: by the type that needs it."""

    types: set[str]
    gpus: Mapping[str, str] = field(default_factory=dict)
    free: Estimate = NOW


def forecast(live: Sequence[Worker] | None = None) -> Forecast:
    """The forecast for all jobs that run and the first of those that wait. live: the workers, if they were read."""
    jobs, live = JobRepository(), workers.live() if live is None else live
    running = jobs.page(Page(limit=MOST_RUNNING, descending=False), jobs.in_status(*JOB_STATUSES.steps[1:-1]))
    result = Forecast(running, jobs.tally()[JOB_STATUSES.pending])
    paces = Paces(live)
    plan = Plan(live)
    for job in running:
        done_in = paces.estimate(job.job_type, job.takes, job.metadata.get("duration"))
        result.done_in[job.job_id] = _known(plan.run(job, done_in.after(_seconds_since(job.started_at))))
    for position, (job_id, job_type, takes, duration, _) in enumerate(_first_waiting(), 1):
        result.positions[job_id] = position
        result.done_in[job_id] = _known(plan.wait(job_type, paces.estimate(job_type, takes, duration)))
    if result.done_in:
        planned = len(result.positions)
        result.all_done_in = _known(plan.end().times(result.waiting / planned if planned >= MOST_PLANNED else 1))
    return result


class Plan:
    """The workers, and what each does until when."""

    def __init__(self, live: Sequence[Worker]) -> None:
        self.runners = {worker.name: _runner(worker) for worker in live}
        self.gpus: dict[str, Estimate] = defaultdict(lambda: NOW)

    def run(self, job: Job, done_in: Estimate) -> Estimate:
        """Let a running job end after this time on its worker, which may be one that has not announced itself."""
        name = job.worker if job.worker in self.runners and self.runners[job.worker].free == NOW else job.job_id
        return self._use(self.runners.setdefault(name, Runner({job.job_type})), job.job_type, done_in)

    def wait(self, job_type: str, duration: Estimate) -> Estimate:
        """Let the worker that is free first make the next job. Returns when it is done.

        If no worker has announced that it makes such jobs, one counts that may claim them over REST.
        """
        able = [runner for runner in self.runners.values() if job_type in runner.types]
        if not able:
            able = [self.runners.setdefault(job_type, Runner({job_type}))]
        first = min(able, key=lambda runner: self._free(runner, job_type).seconds)
        return self._use(first, job_type, self._free(first, job_type) + duration)

    def end(self) -> Estimate:
        """When the last job is done."""
        return max((runner.free for runner in self.runners.values()), key=_seconds, default=NOW)

    def _free(self, runner: Runner, job_type: str) -> Estimate:
        """When a worker can begin a job: jobs that need the same GPU never run at once."""
        gpu = runner.gpus.get(job_type)
        return max(runner.free, self.gpus[gpu], key=_seconds) if gpu else runner.free

    def _use(self, runner: Runner, job_type: str, until: Estimate) -> Estimate:
        runner.free = until
        if gpu := runner.gpus.get(job_type):
            self.gpus[gpu] = until
        return until


class Paces:
    """The estimates for jobs of any type. Each type is read once."""

    def __init__(self, live: Sequence[Worker]) -> None:
        offers = [offer for worker in live for offer in announced(worker).items()]
        self._rules: dict[str, Any] = {job_type: offer.get("seconds") for job_type, offer in offers}
        self._paces: dict[str, tuple[Pace | None, float]] = {}

    def estimate(self, job_type: str, takes: int, duration: object) -> Estimate:
        """The estimate for a job; NEVER if nobody knows. duration: its metadata.duration."""
        if job_type not in self._paces and len(self._paces) < MOST_TYPES:
            self._paces[job_type] = self._read(job_type)
        pace, usual = self._paces.get(job_type, (None, 0))
        return NEVER if pace is None else pace.of(takes, self._length(job_type, duration) or usual)

    def _length(self, job_type: str, duration: object) -> float | None:
        """The seconds of music that a job makes, by what its worker has announced; None if it is not known."""
        requested, rule = read_seconds(duration), self._rules.get(job_type) or {}
        low, usual, high = (read_seconds(rule.get(name)) for name in ("min", "usual", "max"))
        length = requested or usual
        return length and min(max(length, low or 0), high or length)

    def _read(self, job_type: str) -> tuple[Pace | None, float]:
        """(the pace of a type, its usual length in seconds)."""
        read = [
            (takes, read_seconds(made) or self._length(job_type, duration), seconds / 1_000_000)
            for takes, made, duration, seconds in _last_finished(job_type)
        ]
        usual = median([length for _, length, _ in read if length] or [1.0])
        return pace_of([Sample(takes, length or usual, seconds) for takes, length, seconds in read]), usual


def _last_finished(job_type: str) -> Sequence[Any]:
    """(takes, seconds of music, metadata.duration, microseconds) of the last finished jobs of a type."""
    hint = "" if is_postgresql() else " INDEXED BY job_finished"
    columns = "takes, file_manifest ->> 'seconds', metadata ->> 'duration', finished_at - started_at"
    last = f"WHERE {FINISHED} AND job_type = ? ORDER BY finished_at DESC LIMIT {LAST}"
    return database.execute_sql(placed(f"SELECT {columns} FROM job{hint} {last}"), (job_type,)).fetchall()  # type: ignore[no-any-return]


def _first_waiting() -> Sequence[Any]:
    """(job_id, job_type, takes, metadata.duration, place) of the first pending jobs, in their order."""
    return waiting.first("job_id, job_type, takes, metadata ->> 'duration'", MOST_PLANNED)


def _runner(worker: Worker) -> Runner:
    able = {job_type: offer for job_type, offer in announced(worker).items() if offer["can_start"]}
    gpus = {job_type: f"{worker.host}:{offer['gpu']}" for job_type, offer in able.items() if offer.get("gpu")}
    return Runner(set(able), gpus)


def _seconds(estimate: Estimate) -> float:
    return estimate.seconds


def _seconds_since(moment: datetime | None) -> float:
    """The seconds since a moment; 0 for None, and for a moment before which the clock was set back."""
    return 0.0 if moment is None else max(0.0, (utc_now() - moment).total_seconds())


def _known(estimate: Estimate) -> Estimate | None:
    return estimate if estimate.seconds < NEVER.seconds else None
