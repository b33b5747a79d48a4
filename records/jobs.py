"""JobRepository: creates, reads, changes, claims and counts jobs."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from peewee import SQL, fn

from database import database
from errors import MissingParent
from models import Job, Track
from records import queue, writes
from records.leases import WorkRepository
from records.moves import changes_of_move
from records.refusals import not_waiting, order_in_use
from records.tracks import TrackRepository
from records.writes import Clause

COUNTED = 10_000
SEED = "seed = COALESCE(seed, ?)"
MUSIC = ("prompt", "metadata", "seed", "takes", "job_type")  # with another value of one of them, takes sound different
EVERY_TAKE = "(CAST(1 AS BIGINT) << CAST(takes AS INTEGER)) - 1"  # a bit for each take, as in discarded_takes


class JobRepository(WorkRepository[Job]):
    """The repository of jobs."""

    model = Job
    order_fields = frozenset({"seed", "takes"})

    def update(
        self, job_id: str, if_match: Sequence[int] | None = None, lease_token: str | None = None, **changes: Any
    ) -> Job | None:
        """Change a job. Returns it, or None if it does not exist. Raises WrongStatus, LeaseLost, Invalid, Stale."""
        return self._update(job_id, changes, if_match, lease_token)

    def claim_of(
        self, types: Collection[str], worker: str, lease_seconds: float = 60, lease_token: str | None = None
    ) -> Job | None:
        """The same as claim(), but only for jobs of these types. None if no such job is pending."""
        return self._claim(worker, lease_seconds, lease_token, tuple(sorted(set(types)))) if types else None

    def add_tracks(self, job_id: str, lease_token: str, tracks: list[dict[str, Any]]) -> list[Track]:
        """Create tracks of a leased job and renew its lease, in one transaction. Returns them; [] if it was deleted.

        The lease is renewed first. This locks the job, so no other worker can claim it and record the same takes. After
        a commit without an answer, repeat the call: tracks that the same fields have created before are only returned.
        So choose their track_id. Raises LeaseLost, Invalid, Conflict, and then creates none of them. After LeaseLost,
        tracks of an earlier call without an answer may still exist.
        """
        with database.atomic():
            if self.heartbeat(job_id, lease_token) is None:
                return []
            return [TrackRepository().create_once(job_id=job_id, **track)[0] for track in tracks]

    def complete(self, job_id: str, lease_token: str, tracks: list[dict[str, Any]], **changes: Any) -> Job | None:
        """Create the tracks of a job and complete it, in one transaction. Returns it, or None if it was deleted.

        The tracks are created first, so that "completed" is the last event of the job. The job is locked before that:
        the search has its words for each track. Raises LeaseLost, WrongStatus, Invalid.
        """
        try:
            with self._locked(job_id):
                for track in tracks:
                    TrackRepository().create(job_id=job_id, **track)
                return self.update(job_id, lease_token=lease_token, status=self.statuses.completed, **changes)
        except MissingParent:
            return None

    def make_next(self, job_id: str, before: str | None = None) -> Job | None:
        """Put a pending job at the head of the queue, or before another pending job. It gets the priority of that job.

        If it is there already, it is not changed. Returns it, or None if it does not exist. Raises WrongStatus if one
        of the jobs is not pending, and Invalid if there is no job `before`.
        """
        with database.atomic():
            changes, is_pending = changes_of_move(job_id, before), writes.has_status((self.statuses.pending,))
            moved = self._write(changes, [self._is(job_id), is_pending]) if changes else None
            job = moved or self.get_by_id(job_id)
        if job is not None and job.status != self.statuses.pending:
            raise not_waiting(job)
        return job

    @contextmanager
    def at_rest(self, job_id: str) -> Iterator[bool]:
        """A transaction in which no worker claims the job. True if it is recorded.

        Raises WrongStatus if a worker uses the order of the job, or if a result belongs to it.
        """
        with self._locked(job_id):
            job = self.get_by_id(job_id)
            if job is not None and job.status not in self.statuses.changeable:
                raise order_in_use(job, ["its reference recording"])
            yield job is not None

    def types(self, limit: int = 20) -> list[str]:
        """The job types of all jobs, in alphabetical order. It reads one index entry for each type, not every job."""
        return _walk(lambda last: Job.select(fn.MIN(Job.job_type)).where(Job.job_type > last).scalar(), limit)

    def waiting_types(self, limit: int = 20, most: int = COUNTED) -> dict[str, int]:
        """The number of pending jobs by job type. It counts at most most + 1 jobs of each type."""
        names = _walk(lambda last: queue.next_waiting_type(Job, last), limit)
        return {name: queue.count_waiting(Job, name, most + 1) for name in names}

    def _again(self) -> dict[str, Any]:
        """The same as in WorkRepository. If all takes were discarded, the person wants them again."""
        kept = SQL(f"CASE WHEN discarded_takes & ({EVERY_TAKE}) = {EVERY_TAKE} THEN 0 ELSE discarded_takes END")
        return {**super()._again(), "discarded_takes": kept}

    def _assignments(self, changes: dict[str, Any], lease_token: str | None) -> list[Clause]:
        """The same as in WorkRepository. If the job is to make other music, no take of it was discarded yet."""
        clauses = super()._assignments(changes, lease_token)
        others = [writes.is_other(Job, name, changes[name]) for name in MUSIC if name in changes]
        if others:
            is_other = " OR ".join([sql for sql, _ in others])
            values = tuple(value for _, values in others for value in values)
            clauses.append((f"discarded_takes = CASE WHEN {is_other} THEN 0 ELSE discarded_takes END", values))
        return clauses

    def _drawn(self) -> list[Clause]:
        """The seed of a job that has none. The job keeps it: each attempt makes the same takes."""
        return [(SEED, (int.from_bytes(os.urandom(4)),))]


def _walk(next_after: Callable[[str], str | None], limit: int) -> list[str]:
    """The first different texts of an index. next_after(text) returns the text that follows, or None."""
    texts: list[str] = []
    while len(texts) < limit and (text := next_after(texts[-1] if texts else "")) is not None:
        texts.append(text)
    return texts
