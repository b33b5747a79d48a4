"""JobRepository: the verbs of jobs."""

from collections.abc import Collection, Sequence
from typing import Any

from peewee import fn

from database import database
from errors import MissingParent
from models import Job
from records.leases import WorkRepository
from records.tracks import TrackRepository

COUNTED = 10_000


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
