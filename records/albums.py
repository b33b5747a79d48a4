"""Albums: jobs that have tracks, each with the number and the length of its tracks, as a music player lists them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from database import database, is_postgresql
from models import Job, Track
from records import rows
from records.finding import TrackQuery
from records.jobs import JobRepository
from records.library import Library
from records.pages import Page
from records.track_search import TrackSearch
from records.tracks import TrackRepository
from records.writes import is_one_of, placed

WINDOW = 1000  # tracks from which random ones are chosen

Song = tuple[Track, Job]


@dataclass(frozen=True)
class Album:
    """A job, one of its tracks, the number of all its tracks, and their length in seconds.

    place: the value of Page.after for the albums that follow this one, if it is of a list.
    """

    job: Job
    lead: Track
    songs: int
    seconds: float
    place: tuple[Any, str] = (None, "")


def albums(query: TrackQuery, page: Page) -> list[Album]:
    """One page of the jobs that have tracks of this query, as in Library.groups(). Two statements read it."""
    leads = [
        (rows.record(Track, track), rows.record(Job, job), place) for track, job, place in Library(query).leads(page)
    ]
    totals = totals_of([job.job_id for _, job, _ in leads])
    return [Album(job, track, *totals[job.job_id], (place, track.track_id)) for track, job, place in leads]


def albums_of(songs: Sequence[Song]) -> list[Album]:
    """The albums of these songs, each once, in the order of the songs."""
    first: dict[str, Song] = {}
    for track, job in songs:
        first.setdefault(job.job_id, (track, job))
    totals = totals_of(list(first))
    return [Album(job, track, *totals[job.job_id]) for track, job in first.values()]


def songs_of(tracks: Sequence[Track]) -> list[Song]:
    """These tracks with their jobs, in one statement. A track whose job was deleted meanwhile is left out."""
    job_ids = list({track.__data__["job"] for track in tracks})
    jobs = JobRepository().get_by_ids(job_ids) if job_ids else {}
    return [(track, jobs[track.__data__["job"]]) for track in tracks if track.__data__["job"] in jobs]


def totals_of(job_ids: Sequence[str]) -> dict[str, tuple[int, float]]:
    """(the number of tracks, their seconds) of each of these jobs, by job id."""
    among, values = is_one_of("job_id", job_ids)
    sql = f"SELECT job_id, count(*), coalesce(sum(duration), 0) FROM track WHERE {among} GROUP BY job_id"
    read = {job_id: (int(count), float(seconds)) for job_id, count, seconds in _read(sql, values)}
    return {
        job_id: read.get(job_id, (0, 0.0)) for job_id in job_ids
    }  # the tracks may be deleted between two statements


def random_tracks(count: int, query: TrackQuery | None = None) -> list[Track]:
    """Tracks at random, at a cost that does not grow with their number.

    They are chosen from 1000 tracks that were added one after the other, anywhere in the library. With a query, they
    are chosen from its newest 1000 tracks.
    """
    if query is None:
        ids = _ids_anywhere()
    else:
        ids = [track_id for track_id, _, _ in TrackSearch(query).page_keys(Page(limit=WINDOW))[0]]
    chosen = random.sample(ids, min(count, len(ids)))
    tracks = TrackRepository().get_by_ids(chosen) if chosen else {}
    return [tracks[track_id] for track_id in chosen if track_id in tracks]


def _ids_anywhere() -> list[str]:
    """The ids of the tracks from a random place on; after the newest track, the oldest ones follow.

    SQLite numbers its rows, so each place is as likely as the others. On PostgreSQL the place is a moment: tracks that
    were added in a short time, such as a folder, are chosen less often than the others.
    """
    place = "created_at" if is_postgresql() else "rowid"
    [(low, high)] = _read(f"SELECT (SELECT min({place}) FROM track), (SELECT max({place}) FROM track)", ())
    start = random.randint(low or 0, high or 0)
    ids: list[str] = []
    for way in (">=", "<"):
        sql = f"SELECT track_id FROM track WHERE {place} {way} ? ORDER BY {place} LIMIT ?"
        ids += [track_id for (track_id,) in _read(sql, (start, WINDOW - len(ids)))]
    return ids


def _read(sql: str, values: Sequence[Any]) -> list[Any]:
    return list(database.execute_sql(placed(sql), values).fetchall())
