"""Statistics: counts by status, the length of the queue, and how long a job takes."""

from typing import Any

from peewee import Case, fn

from models import JOB_STATUSES, LOOP_STATUSES, Job
from records.jobs import JobRepository
from records.loops import LoopRepository
from records.tracks import TrackRepository


def stats() -> dict[str, Any]:
    """Counts by status, the number of pending jobs and loops, and the mean duration of the last hundred completed jobs.

    If a job seems to end before it started, because the clock was set back, its duration counts as 0.
    """
    seconds = Case(None, [(Job.finished_at > Job.started_at, Job.finished_at - Job.started_at)], 0)
    durations = (
        Job.select(Case(None, [(Job.started_at.is_null(False), seconds)]).alias("duration"))
        .where(Job.status == JOB_STATUSES.completed)
        .order_by(Job.created_at.desc())
        .limit(100)
    )
    mean = Job.select(fn.AVG(durations.c.duration)).from_(durations).scalar()
    jobs, loops = JobRepository().tally(), LoopRepository().tally()
    return {
        "jobs": jobs,
        "loops": loops,
        "tracks": TrackRepository().count(),
        "queue_length": jobs[JOB_STATUSES.pending] + loops[LOOP_STATUSES.pending],
        "waiting_by_type": JobRepository().waiting_types(),
        "mean_job_seconds": None if mean is None else float(mean) / 1_000_000,
    }
