"""TrackRepository: creates, reads and changes tracks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from database import database, is_postgresql
from database.hints import wait_for_lock
from models import Track, utc_now
from records import rows
from records.repository import Repository, children_by_parent
from records.writes import is_one_of, marks, placed, touched


class TrackRepository(Repository[Track]):
    """The repository of tracks."""

    model = Track

    def update(self, track_id: str, if_match: Sequence[int] | None = None, **changes: Any) -> Track | None:
        """Change a track. Returns it, or None if it does not exist. Raises Invalid, MissingParent, Stale."""
        return self._update(track_id, changes, if_match)

    @contextmanager
    def changed(self, track_id: str) -> Iterator[Track | None]:
        """A transaction that changes the version of a track, for a file that belongs to it. None if there is no track.

        No other transaction changes or deletes the track meanwhile. If the block raises an error, it has not changed.
        """
        with database.atomic():
            row = self._change_row(track_id, {}, None, None)
            yield None if row is None else rows.record(Track, row)

    def get_by_job_id(self, job_id: str) -> list[Track]:
        """The tracks of a job, oldest first."""
        return self.of_jobs([job_id]).get(job_id, [])

    def of_jobs(self, job_ids: Iterable[str]) -> dict[str, list[Track]]:
        """The tracks of several jobs by job id, oldest first, in one statement."""
        return children_by_parent(Track, "job", job_ids)

    def star_all(self, track_ids: Sequence[str], starred: bool) -> list[str]:
        """Give tracks a star, or take it away, in one transaction. Returns the ids of those that exist.

        Tracks that have a star already, or none, do not change.
        """
        chosen = Track.select(Track.track_id, Track.starred).where(Track.track_id.in_(list(track_ids)))
        with database.atomic():
            stars = dict(wait_for_lock(chosen.order_by(Track.track_id)).tuples())
            others = [track_id for track_id, star in stars.items() if bool(star) != starred]
            if others:
                (newer, moment), (among, ids) = touched(utc_now()), is_one_of("track_id", others)
                statement = placed(f"UPDATE track SET starred = ?, {newer} WHERE {among}")
                database.execute_sql(statement, [starred, *moment, *ids])
        return list(stars)

    def first_of_jobs(self, job_ids: Sequence[str]) -> dict[str, Track]:
        """The first track of each job that has a sound file, by job id, in one statement."""
        if not job_ids:
            return {}
        read = database.execute_sql(_first_of_jobs(len(job_ids), is_postgresql()), job_ids).fetchall()
        return {row[rows.place(Track, "job")]: rows.record(Track, row) for row in read}


@cache
def _first_of_jobs(count: int, on_postgresql: bool) -> str:
    """The statement. It reads the tracks of each job in order, until one has a file."""
    first = (
        "SELECT track_id FROM track WHERE track.job_id = job.job_id "
        "AND (file_path_wav IS NOT NULL OR file_path_mp3 IS NOT NULL) ORDER BY created_at, track_id LIMIT 1"
    )
    firsts = f"SELECT ({first}) FROM job WHERE job_id IN ({marks(range(count))})"
    return placed(f"SELECT {rows.columns(Track)} FROM track WHERE track_id IN ({firsts})")
