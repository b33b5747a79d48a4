"""The repositories of jobs, tracks and loops; statistics; and JobStore, the cache of often-read jobs."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from database import database, is_postgresql, to_json

import cysqlite
from peewee import fn

from errors import MissingParent
from models import JOB_STATUSES, LOOP_STATUSES, Job, Loop, Track
from repository import Page, Repository, Session, get_session
from work import WorkRepository

__all__ = ["JobRepository", "JobStore", "LoopRepository", "Page", "Session", "TrackRepository", "get_session", "stats"]


COUNTED = 10_000
HELD_CHARACTERS = 8 * 1024  # of a job; a larger one is read each time, so that the store stays small in bytes too


class JobRepository(WorkRepository[Job]):
    """Jobs."""

    model = Job

    def update(
        self, job_id: str, if_match: Sequence[int] | None = None, lease_token: str | None = None, **changes: Any
    ) -> Job | None:
        """The changed job, or None when there is none. Raises WrongStatus, LeaseLost, Invalid, Stale."""
        return self._update(job_id, changes, if_match, lease_token)

    def claim_of(self, types: Collection[str], worker: str, lease_seconds: float = 60) -> Job | None:
        """claim() among the jobs of these types; that none waits costs the same however many jobs there are."""
        if not self.waits(Job.job_type.in_(list(types))):
            return None
        # In the order of the queue, whichever index the planner would prefer.
        return self.claim(worker, lease_seconds, Job.job_type.concat("").in_(list(types)))

    def complete(self, job_id: str, lease_token: str, tracks: list[dict[str, Any]], **changes: Any) -> Job | None:
        """Completed with its tracks, in one transaction; None when it is gone. Raises LeaseLost, WrongStatus, Invalid.

        The tracks come first, so that the end of the job is the last that is told of it.
        """
        try:
            with database.atomic():
                for track in tracks:
                    TrackRepository().create(job_id=job_id, **track)
                return self.update(job_id, lease_token=lease_token, status=self.statuses.completed, **changes)
        except MissingParent:
            return None

    def types(self, limit: int = 20) -> list[str]:
        """The job types there are, in order; a step through the index each, however many jobs there are."""
        found: list[str] = []
        while len(found) < limit:
            query = Job.select(fn.MIN(Job.job_type))
            following = (query.where(Job.job_type > found[-1]) if found else query).scalar()
            if following is None:
                break
            found.append(following)
        return found

    def tally(self, most: int = COUNTED) -> dict[str, int]:
        """How many jobs have each status, none counted further than most + 1: flat, however many there are."""
        statuses, one = self.statuses.all, f"SELECT 1 FROM job WHERE status = {database.param} LIMIT {most + 1}"
        columns = ", ".join([f"(SELECT COUNT(*) FROM ({one}) AS counted)"] * len(statuses))
        return dict(zip(statuses, database.execute_sql(f"SELECT {columns}", statuses).fetchone(), strict=True))


class TrackRepository(Repository[Track]):
    """Tracks."""

    model = Track

    def update(self, track_id: str, if_match: Sequence[int] | None = None, **changes: Any) -> Track | None:
        """The changed track, or None when there is none. Raises Invalid, MissingParent, Stale."""
        return self._update(track_id, changes, if_match)

    def get_by_job_id(self, job_id: str) -> list[Track]:
        """The tracks of a job, oldest first."""
        return self.of_jobs([job_id]).get(job_id, [])

    def of_jobs(self, job_ids: Iterable[str]) -> dict[str, list[Track]]:
        """The tracks of several jobs by job id, oldest first, in one statement."""
        return _by_parent(Track, "job", job_ids)


class LoopRepository(WorkRepository[Loop]):
    """Loops."""

    model = Loop

    def update(
        self, loop_id: str, if_match: Sequence[int] | None = None, lease_token: str | None = None, **changes: Any
    ) -> Loop | None:
        """The changed loop, or None when there is none. Raises as for jobs, and MissingParent."""
        return self._update(loop_id, changes, if_match, lease_token)

    def get_by_track_id(self, track_id: str) -> list[Loop]:
        """The loops of a track, oldest first."""
        return self.of_tracks([track_id]).get(track_id, [])

    def of_tracks(self, track_ids: Iterable[str]) -> dict[str, list[Loop]]:
        """The loops of several tracks by track id, oldest first, in one statement."""
        return _by_parent(Loop, "track", track_ids)


class JobStore:
    """A bounded cache of often-read jobs that is never stale; the least recently read job makes room.

    Before a held job is given out, its version is checked: on SQLite the database's data_version, as seen by a
    connection of the store's own (so that commits of this process count too); on PostgreSQL the row's own xmin, since
    event ids are not committed in order.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self._held: OrderedDict[str, tuple[Any, Job]] = OrderedDict()
        self._lock = threading.Lock()
        self._watcher = None if is_postgresql() else cysqlite.Connection(database.database)

    def __len__(self) -> int:
        return len(self._held)

    def get(self, job_id: str) -> Job | None:
        """The job as last committed, or None. It is shared: read it, do not change it."""
        if database.in_transaction():  # what this thread sees may be rolled back
            return JobRepository().get_by_id(job_id)
        version = self._version(job_id)
        with self._lock:
            held = self._held.get(job_id)
            if held is not None and held[0] == version:
                self._held.move_to_end(job_id)
                return held[1]
        return self._keep(job_id, version)

    def close(self) -> None:
        """Forget everything and close the store's connection."""
        with self._lock:
            self._held.clear()
            if self._watcher is not None:
                self._watcher.close()

    def _version(self, job_id: str) -> Any:
        if self._watcher is None:
            query = "SELECT xmin::text, ctid::text FROM job WHERE job_id = %s"
            return database.execute_sql(query, (job_id,)).fetchone()
        with self._lock:
            return self._watcher.execute("PRAGMA data_version").fetchone()

    def _keep(self, job_id: str, version: Any) -> Job | None:
        """Read after the version: a change in between makes the kept version too old, never the kept job."""
        job = JobRepository().get_by_id(job_id)
        with self._lock:
            self._held.pop(job_id, None)
            if job is not None and _weight(job) <= HELD_CHARACTERS:
                self._held[job_id] = (version, job)
                if len(self._held) > self.size:
                    self._held.popitem(last=False)
        return job


def stats() -> dict[str, Any]:
    """Counts by status, jobs and loops that wait, and the mean seconds of the last hundred completed jobs."""
    taken = (
        Job.select((Job.finished_at - Job.started_at).alias("taken"))
        .where(Job.status == JOB_STATUSES.completed)
        .order_by(Job.created_at.desc())
        .limit(100)
    )
    mean = Job.select(fn.AVG(taken.c.taken)).from_(taken).scalar()
    counts = {model: _counts_by_status(model) for model in (Job, Loop)}
    return {
        "jobs": counts[Job],
        "loops": counts[Loop],
        "tracks": Track.select().count(),
        "queue_length": counts[Job][JOB_STATUSES.pending] + counts[Loop][LOOP_STATUSES.pending],
        "mean_job_seconds": None if mean is None else float(mean) / 1_000_000,
    }


def _weight(job: Job) -> int:
    return len(job.prompt) + len(to_json(job.metadata)) + len(to_json(job.file_manifest))


def _counts_by_status(model: Any) -> dict[str, int]:
    rows = model.select(model.status, fn.COUNT(model.status)).group_by(model.status).tuples()
    return {**dict.fromkeys(model.statuses.all, 0), **dict(rows)}


def _by_parent(model: Any, parent: str, ids: Iterable[str]) -> dict[str, list[Any]]:
    field = model._meta.fields[parent]
    children: dict[str, list[Any]] = {}
    for child in model.select().where(field.in_(list(ids))).order_by(model.created_at, model._meta.primary_key):
        children.setdefault(child.__data__[parent], []).append(child)
    return children
