"""The library: jobs that have tracks a person looks for, each in the place of its first such track."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from database import database, is_postgresql
from database.letters import fold, words
from database.library import genre_of
from models import MOST_TAKES, Job, Track
from records import rows
from records.finding import TrackQuery, find, joined, of_job
from records.pages import Page, place_read
from records.rows import Row
from records.writes import is_one_of, placed

MOST_TRACKS = MOST_TAKES + 1  # of a group that are read: the last one says that there are more
NEWEST = 500  # tracks whose genres are counted


@dataclass(frozen=True)
class Group:
    """A job, its tracks in the order of its takes (at most 33), and the matching track that gives it its place.

    place: the value of Page.after for the groups that follow this one.
    """

    job: Job
    lead: Track
    tracks: list[Track]
    place: tuple[Any, str]


class Library:
    """The tracks that a query describes, by job."""

    def __init__(self, query: TrackQuery) -> None:
        self.query = query

    def groups(self, page: Page) -> list[Group]:
        """One page of groups, in the order of their leading tracks. page.sort: created_at, duration or title.

        A track leads if no other matching track of its job comes before it. Two statements read a page.
        """
        leads = self.leads(page)
        tracks = tracks_of([row[rows.place(Track, "job")] for row, _, _ in leads])
        return [_group(rows.record(Track, track), rows.record(Job, job), tracks, place) for track, job, place in leads]

    def matching(self, groups: Sequence[Group]) -> set[str]:
        """The ids of the tracks of these groups that the query describes, by at most one statement."""
        conditions, ids = self.query.conditions(), [track.track_id for group in groups for track in group.tracks]
        if not conditions or not ids:
            return set(ids)
        sql, values = joined([is_one_of("track.track_id", ids), *conditions])
        return {row[0] for row in database.execute_sql(placed(f"SELECT track_id FROM track WHERE {sql}"), values)}

    def genres(self, limit: int = 8) -> list[str]:
        """The genres of the newest 500 tracks, the most frequent first. Of several spellings, the most frequent."""
        newest = f"SELECT * FROM track ORDER BY created_at DESC, track_id DESC LIMIT {NEWEST}"
        query = f"SELECT {genre_of('track', is_postgresql())} FROM ({newest}) AS track"
        texts = Counter(genre for (genre,) in database.execute_sql(query).fetchall() if genre)
        spellings: dict[str, list[str]] = {}
        for genre, _ in texts.most_common():
            spellings.setdefault(" ".join(words(fold(genre))), []).append(genre)
        spellings.pop("", None)
        by_count = sorted(spellings.values(), key=lambda genres: -sum(texts[genre] for genre in genres))
        return [genres[0] for genres in by_count[:limit]]

    def count_starred(self, most: int = 1000) -> int:
        """How many tracks have a star; at most `most`."""
        query = placed("SELECT count(*) FROM (SELECT 1 FROM track WHERE starred LIMIT ?) AS starred")
        return int(database.execute_sql(query, (most,)).fetchone()[0])

    def leads(self, page: Page) -> list[tuple[Row, Row, Any]]:
        """The leading tracks of a page, with their jobs and their places."""
        columns = [f"{table}.{name}" for table, model in (("track", Track), ("job", Job)) for name in names(model)]
        columns.append(place_read(Track, page.sort, "lead.place"))
        way, width = "DESC" if page.descending else "ASC", len(rows.fields(Track))

        def read(ids: str, values: Sequence[Any]) -> list[Any]:
            joins = f"FROM ({ids}) AS lead CROSS JOIN track CROSS JOIN job"
            where = f"WHERE track.track_id = lead.id AND {of_job('track')} ORDER BY lead.place {way}, lead.id {way}"
            query = placed(f"SELECT {', '.join(columns)} {joins} {where}")
            return list(database.execute_sql(query, values).fetchall())

        return [(row[:width], row[width:-1], row[-1]) for row in find(self.query, page, [], by_job=True, read=read)]


def names(model: Any) -> list[str]:
    """The columns of a row of this model, each as an expression that may follow the name of a table and a dot."""
    return rows.columns(model).split(", ")


def _group(lead: Track, job: Job, tracks: dict[str, list[Track]], place: Any) -> Group:
    own = tracks.get(job.job_id, [])
    if lead.track_id not in [track.track_id for track in own]:
        own = [*own[: MOST_TRACKS - 1], lead]
    own = sorted(own, key=lambda track: (track.take or MOST_TAKES + 1, track.created_at, track.track_id))
    return Group(job, lead, own, (place, lead.track_id))


def tracks_of(job_ids: Sequence[str]) -> dict[str, list[Track]]:
    """The first 33 tracks of these jobs by job id, oldest first, in one statement."""
    oldest = f"WHERE job_id = ? ORDER BY created_at, track_id LIMIT {MOST_TRACKS}"
    one = f"SELECT * FROM (SELECT {rows.columns(Track)} FROM track {oldest}) AS oldest"
    tracks: dict[str, list[Track]] = {}
    if job_ids:
        for row in database.execute_sql(placed(" UNION ALL ".join([one] * len(job_ids))), list(job_ids)).fetchall():
            tracks.setdefault(row[rows.place(Track, "job")], []).append(rows.record(Track, row))
    return tracks
