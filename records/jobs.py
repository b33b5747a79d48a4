"""JobRepository: creates, reads, changes, claims and counts jobs."""

from collections.abc import Collection, Sequence
from typing import Any

from database import database, is_postgresql
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
        return self._types(limit, "job WHERE")

    def waiting_types(self, limit: int = 20, most: int = COUNTED) -> dict[str, int]:
        """The number of pending jobs by job type. It counts at most most + 1 jobs of each type."""
        pending = (
            f"job{'' if is_postgresql() else ' INDEXED BY job_queue'} WHERE status = '{self.statuses.pending}' AND"
        )
        of_type = f"SELECT 1 FROM {pending} job_type = {database.param} LIMIT {most + 1}"
        count = f"SELECT count(*) FROM ({of_type}) AS waiting"
        return {name: database.execute_sql(count, (name,)).fetchone()[0] for name in self._types(limit, pending)}

    def _types(self, limit: int, source: str) -> list[str]:
        types: list[str] = []
        following = f"SELECT min(job_type) FROM {source} job_type > {database.param}"
        while len(types) < limit:
            (name,) = database.execute_sql(following, (types[-1] if types else "",)).fetchone()
            if name is None:
                break
            types.append(name)
        return types
