"""The artists and the genres of all tracks, with the numbers of their tracks and of the jobs of these tracks."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from database import database, is_postgresql
from database.letters import fold, words
from database.library import genre_of, own_artist


class Counted(NamedTuple):
    """A name with its numbers of jobs and of tracks."""

    name: str
    jobs: int
    tracks: int


@dataclass(frozen=True)
class Overview:
    """The names of artists, of generators whose tracks have no artist, and of genres; each in alphabetical order.

    Spellings of a genre that differ in case and accents are one genre, with the name that most tracks have.
    """

    artists: list[Counted] = field(default_factory=list)
    generators: list[Counted] = field(default_factory=list)
    genres: list[Counted] = field(default_factory=list)


def overview() -> Overview:
    """Count all tracks. This reads all of them."""
    artist, genre = own_artist("track", is_postgresql()), genre_of("track", is_postgresql())
    columns = f"track.job_id, job.job_type, {artist} AS artist, {genre} AS genre, count(*)"
    sql = f"SELECT {columns} FROM track JOIN job ON job.job_id = track.job_id GROUP BY 1, 2, 3, 4"
    read = database.execute_sql(sql).fetchall()
    return Overview(
        _counted((artist, job_id, number) for job_id, _, artist, _, number in read if artist),
        _counted((job_type, job_id, number) for job_id, job_type, artist, _, number in read if not artist),
        _merged(_counted((genre, job_id, number) for job_id, _, _, genre, number in read if genre)),
    )


def _counted(read: Iterable[tuple[str, str, Any]]) -> list[Counted]:
    """The names with their numbers. read: (a name, a job, a number of its tracks with this name)."""
    tracks: Counter[str] = Counter()
    jobs: dict[str, set[str]] = {}
    for name, job_id, number in read:
        tracks[name] += int(number)
        jobs.setdefault(name, set()).add(job_id)
    return [Counted(name, len(jobs[name]), tracks[name]) for name in sorted(tracks, key=_place)]


def _merged(genres: list[Counted]) -> list[Counted]:
    """One genre for all spellings of it; without those that have no word."""
    spellings: dict[str, list[Counted]] = {}
    for genre in genres:
        spellings.setdefault(" ".join(words(fold(genre.name))), []).append(genre)
    spellings.pop("", None)
    return [
        Counted(
            max(same, key=lambda one: one.tracks).name, sum(one.jobs for one in same), sum(one.tracks for one in same)
        )
        for same in spellings.values()
    ]


def _place(name: str) -> tuple[str, str]:
    return " ".join(words(fold(name))), name
