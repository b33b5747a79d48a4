"""JobRepository: creates, reads, changes, claims and counts jobs."""

from collections.abc import Collection, Sequence
from typing import Any

from peewee import Expression, fn

from database import database
from database.hints import unindexed
from errors import MissingParent
from models import Job
from records.leases import WorkRepository
from records.tracks import TrackRepository

COUNTED = 10_000


class JobRepository(WorkRepository[Job]):
    """The repository of jobs."""

    model = Job

    def update(
        self, job_id: str, if_match: Sequence[int] | None = None, lease_token: str | None = None, **changes: Any
    ) -> Job | None:
        """Change a job. Returns it, or None if it does not exist. Raises WrongStatus, LeaseLost, Invalid, Stale."""
        return self._update(job_id, changes, if_match, lease_token)

    def claim_of(self, types: Collection[str], worker: str, lease_seconds: float = 60) -> Job | None:
        """claim() among the jobs of these types. When none is pending, it costs little however many jobs there are."""
        is_of_types = Job.job_type.in_(list(types))
        if not self.waits(is_of_types):
            return None
        # In the order of the queue, whichever index the planner would prefer.
        return self.claim(worker, lease_seconds, unindexed(is_of_types))

    def complete(self, job_id: str, lease_token: str, tracks: list[dict[str, Any]], **changes: Any) -> Job | None:
        """Create the tracks of a job and complete it, in one transaction. Returns it, or None if it was deleted.

        The tracks are created first, so that "completed" is the last event of the job. Raises LeaseLost, WrongStatus,
        Invalid.
        """
        try:
            with database.atomic():
                for track in tracks:
                    TrackRepository().create(job_id=job_id, **track)
                return self.update(job_id, lease_token=lease_token, status=self.statuses.completed, **changes)
        except MissingParent:
            return None

    def types(self, limit: int = 20) -> list[str]:
        """The job types of all jobs, in alphabetical order. It reads one index entry for each type, not every job."""
        return self._types(limit)

    def waiting_types(self, limit: int = 20, most: int = COUNTED) -> dict[str, int]:
        """The number of pending jobs by job type. It counts at most most + 1 jobs of each type."""
        is_pending = Job.status == self.statuses.pending
        waiting = {
            name: Job.select(Job.job_id).where(is_pending, Job.job_type == name)
            for name in self._types(limit, is_pending)
        }
        return {name: query.limit(most + 1).count() for name, query in waiting.items()}

    def tally(self, most: int = COUNTED) -> dict[str, int]:
        """The number of jobs by status. It counts at most most + 1 jobs of each status, so it stays fast."""
        statuses, one = self.statuses.all, f"SELECT 1 FROM job WHERE status = {database.param} LIMIT {most + 1}"
        columns = ", ".join([f"(SELECT COUNT(*) FROM ({one}) AS counted)"] * len(statuses))
        return dict(zip(statuses, database.execute_sql(f"SELECT {columns}", statuses).fetchone(), strict=True))

    def _types(self, limit: int, *where: Expression) -> list[str]:
        types: list[str] = []
        while len(types) < limit:
            query = Job.select(fn.MIN(Job.job_type)).where(Job.job_type > (types[-1] if types else ""), *where)
            following = query.scalar()
            if following is None:
                break
            types.append(following)
        return types
