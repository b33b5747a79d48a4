"""TrackRepository: creates, reads and changes tracks."""

from collections.abc import Iterable, Sequence
from typing import Any

from models import Track
from records.repository import Repository, children_by_parent


class TrackRepository(Repository[Track]):
    """The repository of tracks."""

    model = Track

    def update(self, track_id: str, if_match: Sequence[int] | None = None, **changes: Any) -> Track | None:
        """Change a track. Returns it, or None if it does not exist. Raises Invalid, MissingParent, Stale."""
        return self._update(track_id, changes, if_match)

    def get_by_job_id(self, job_id: str) -> list[Track]:
        """The tracks of a job, oldest first."""
        return self.of_jobs([job_id]).get(job_id, [])

    def of_jobs(self, job_ids: Iterable[str]) -> dict[str, list[Track]]:
        """The tracks of several jobs by job id, oldest first, in one statement."""
        return children_by_parent(Track, "job", job_ids)
