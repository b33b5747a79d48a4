"""The library and the search for tracks: any writes, and the same results as a plain search in Python."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from database import is_postgresql
from models import EPOCH, Job, Track
from records import finding
from records.finding import TrackQuery
from records.indexing import index_batch
from records.library import Library
from records.track_search import TrackSearch
from repos import JobRepository, Page, TrackRepository
from tests import library_model as model

jobs, tracks = JobRepository(), TrackRepository()
pytestmark = pytest.mark.usefixtures("ledger")
TEXTS = [
    "rain",
    "Rain drops",
    "Café",
    "民谣 吉他",
    "谣",
    "民",
    "Émile",
    "ab 民",
    "",
    "  ",
    "ЭМБИЕНТ",
    "rainy day",
    "7",
    "🎧",
]
GENRES = ["Ambient", "AMBIENT ", "Drum & Bass", "drum bass", "民谣", "", None, 7, ["Ambient"]]
QUERIES = [
    "rain",
    "rain cafe",
    "民谣",
    "谣民",
    "emile rain",
    "эмб",
    "drops day",
    "…",
    "rain 7",
    "🎧",
    "ab民",
    "rainy 民",
]
SORTS = [
    Page(sort, way, limit=3) for sort in ("created_at", "duration", "title", "updated_at") for way in (True, False)
]


def fields(rng: random.Random) -> dict[str, Any]:
    """The metadata of a job or track."""
    values = {
        "track_name": TEXTS,
        "title": [*TEXTS, 5, None],
        "artist": TEXTS,
        "lyrics": [*TEXTS, ["rain"]],
        "genre": GENRES,
    }
    return {key: rng.choice(values[key]) for key in rng.sample(sorted(values), rng.randrange(4))}


def titles(rng: random.Random) -> str | None:
    """A title, or none."""
    return rng.choice([None, *(text for text in TEXTS if text.strip())])


def create_job(rng: random.Random, job: str, *_: Any) -> None:
    """Create a job."""
    if jobs.get_by_id(job) is None:
        jobs.create(job_id=job, prompt=rng.choice(TEXTS), metadata=fields(rng), job_type=rng.choice("ab"))


def create_track(rng: random.Random, job: str, track: str, made: datetime) -> None:
    """Create a track."""
    if jobs.get_by_id(job) is not None and tracks.get_by_id(track) is None:
        tracks.create(
            track_id=track, job_id=job, title=titles(rng), metadata=fields(rng), created_at=made,
            starred=rng.random() < 0.4, seed=rng.choice([None, 1, 2]), duration=rng.choice([None, 30, 61.5]),
        )  # fmt: skip


def change_track(rng: random.Random, job: str, track: str, *_: Any) -> None:
    """Change a track, or all tracks of a job in one statement."""
    tracks.update(track, **rng.choice([{"title": titles(rng)}, {"metadata": fields(rng)}, {"starred": True}]))
    if rng.random() < 0.2:
        Track.update(title=titles(rng)).where(Track.job == job).execute()


def change_job(rng: random.Random, job: str, *_: Any) -> None:
    """Change a job."""
    jobs.update(job, prompt=rng.choice(TEXTS), metadata=fields(rng))


def delete(rng: random.Random, job: str, track: str, *_: Any) -> None:
    """Delete a track, and sometimes a job."""
    tracks.delete(track)
    if rng.random() < 0.3:
        jobs.delete(job)


def index(rng: random.Random, *_: Any) -> None:
    """Do the housekeeping of SQLite."""
    if not is_postgresql():
        index_batch(rng.randrange(1, 4))


CHANGES = [*[create_job] * 3, *[create_track] * 4, change_track, change_job, delete, index, index]


def change(rng: random.Random, step: int) -> None:
    """Change something."""
    made = EPOCH + timedelta(seconds=rng.randrange(4) if rng.random() < 0.3 else 1000 + step)
    rng.choice(CHANGES)(rng, f"j{rng.randrange(5)}", f"t{rng.randrange(12)}", made)


def queries(rng: random.Random) -> list[TrackQuery]:
    """Some queries."""
    options: dict[str, list[Any]] = {
        "text": QUERIES, "genre": ["ambient", "Drum bass", "民谣", "none"], "job_type": ["a", "x"], "seed": [1, 3],
        "starred": [True, False], "job_id": ["j1", "j9"],
    }  # fmt: skip
    chosen = [rng.sample(sorted(options), rng.randrange(1, 3)) for _ in range(4)]
    some = [TrackQuery(**{name: rng.choice(options[name]) for name in names}) for names in chosen]
    return [TrackQuery(), TrackQuery(text=rng.choice(QUERIES)), TrackQuery(genre="AMBIENT"), *some]


ANY_WRITES = given(st.randoms(use_true_random=False), st.sampled_from([1, 3, 4000]), st.sampled_from([0, 2, 2000]))


def examples(number: int) -> settings:
    """The settings of a test with this many examples."""
    return settings(
        max_examples=number, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )


@ANY_WRITES
@examples(8)
def test_any_writes_leave_a_search_that_finds_what_a_plain_search_finds(
    rng: random.Random, walked: int, few: int
) -> None:
    write_and_search(rng, walked, few)


@pytest.mark.soak
@ANY_WRITES
@examples(200)
def test_many_more_writes_leave_such_a_search(rng: random.Random, walked: int, few: int) -> None:
    write_and_search(rng, walked, few)


def write_and_search(rng: random.Random, walked: int, few: int) -> None:
    """Write anything into an empty database, then compare some queries with the model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "WALKED", walked)
        patch.setattr(finding, "FEW", few)
        Job.delete().execute()
        for step in range(40):
            change(rng, step)
        for query in queries(rng):
            check(query, rng.choice(SORTS))


def check(query: TrackQuery, page: Page) -> None:
    """Compare all pages, and the count, with those of the model."""
    expected = model.matching(query)
    in_order = [track.track_id for track in model.in_order(expected, page)]
    assert TrackSearch(query).count() == len(expected), query
    assert flat(query, page) == in_order, (query, page)
    assert TrackSearch(query).page(replace(page, offset=2))[:1] == model.in_order(expected, page)[2:3], query
    if page.sort != "updated_at":
        assert grouped(query, page) == model.leads(expected, page), (query, page)


def flat(query: TrackQuery, page: Page) -> list[str]:
    """The ids of all pages of tracks."""
    ids: list[str] = []
    while read := TrackSearch(query).page_keys(page)[0]:
        assert TrackSearch(query).page_keys_and_rows(page) == (read, TrackSearch(query).page_rows(page))
        ids += [key for key, _, _ in read]
        page = replace(page, after=(read[-1][2], read[-1][0]))
    return ids


def grouped(query: TrackQuery, page: Page) -> list[str]:
    """The ids of the leading tracks of all pages of groups."""
    ids: list[str] = []
    while groups := Library(query).groups(page):
        for group in groups:
            assert group.lead in group.tracks and {track.__data__["job"] for track in group.tracks} == {
                group.job.job_id
            }
            assert len(group.tracks) == Track.select().where(Track.job == group.job).count()
        ids += [group.lead.track_id for group in groups]
        page = replace(page, after=groups[-1].place)
    return ids
