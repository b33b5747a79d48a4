"""Albums, random tracks, artists and counts for music players, on both databases, and what they cost."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from database import database
from models import Track
from records import albums, finding, overview
from records.albums import albums_of, random_tracks, songs_of, totals_of
from records.library import Library
from records.track_search import TrackQuery, TrackSearch
from repos import JobRepository, Page, TrackRepository
from tests.conftest import on_sqlite
from tests.library_fill import fill
from tests.test_library_plans import plans, scans, steps, walks

pytestmark = pytest.mark.usefixtures("ledger")


def add(job_id: str, *artists: str | None, **metadata: Any) -> None:
    """A job with a track of ten seconds by each of these artists."""
    JobRepository().create(job_id=job_id, job_type="synth")
    for take, artist in enumerate(artists, 1):
        about = {**metadata, **({"artist": artist} if artist is not None else {})}
        TrackRepository().create(track_id=f"{job_id}-{take}", job_id=job_id, take=take, duration=10, metadata=about)


def ids(query: TrackQuery) -> list[str]:
    """The ids of the tracks of a query, sorted."""
    return sorted(track.track_id for track in TrackSearch(query).page(Page()))


def test_an_album_has_the_number_and_the_length_of_all_its_tracks() -> None:
    add("a", "Ada", None), add("b", "Bo")
    TrackRepository().create(track_id="a-3", job_id="a", metadata={"artist": "Ada"})
    listed = albums.albums(TrackQuery("ada", artist="Ada"), Page())
    assert [(album.job.job_id, album.songs, album.seconds) for album in listed] == [("a", 3, 20.0)]
    assert totals_of(["b", "none"]) == {"b": (1, 10.0), "none": (0, 0.0)} and totals_of([]) == {}
    songs = songs_of(TrackSearch(TrackQuery()).page(Page(sort="title")))
    assert sorted(album.job.job_id for album in albums_of(songs)) == ["a", "b"]
    assert songs_of([]) == albums_of([]) == []


def test_an_artist_is_that_of_the_metadata_exactly() -> None:
    add("a", "Ada", " Ada ", "ada", "Ada Rey", "", "  ", None, "é" * 300)
    TrackRepository().create(track_id="a-9", job_id="a", metadata={"artist": 5})
    assert ids(TrackQuery("ada", artist="Ada")) == ["a-1", "a-2"]
    assert ids(TrackQuery(job_type="synth", artist="")) == ["a-5", "a-6", "a-7", "a-9"]
    assert ids(TrackQuery(artist="é" * 250)) == ["a-8"] and ids(TrackQuery(artist="Bo")) == []


def test_artists_and_genres_are_counted() -> None:
    add("a", "Bo", "ada", None, genre="Folk"), add("b", "Bo", genre="folk"), add("c", "Bo", "Bo", genre="FOLK é")
    counted = overview.overview()
    assert counted.artists == [("ada", 1, 1), ("Bo", 3, 4)]
    assert counted.generators == [("synth", 1, 1)]
    assert counted.genres == [("Folk", 2, 4), ("FOLK é", 1, 2)]


def test_random_tracks_are_different_ones_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert random_tracks(5) == random_tracks(5, TrackQuery("x")) == []
    monkeypatch.setattr(albums, "WINDOW", 4)
    for number in range(8):
        add(f"j{number}", None, genre="Folk" if number else "Rock")
    chosen = [[track.track_id for track in random_tracks(3)] for _ in range(40)]
    assert all(len(set(some)) == 3 for some in chosen) and len(set(map(tuple, chosen))) > 5
    assert len(random_tracks(100)) == 4 and [
        track.track_id for track in random_tracks(9, TrackQuery(genre="rock"))
    ] == ["j0-1"]


@pytest.mark.parametrize("place", [min, lambda low, high: (low + high) // 2, max])
def test_the_tracks_from_any_place_on_go_round(place: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "randint", place)
    for number in range(5):
        add(f"j{number}", None)
    assert {track.track_id for track in random_tracks(10)} == {f"j{number}-1" for number in range(5)}


def test_random_tracks_come_from_all_parts_of_a_large_library() -> None:
    fill(8000)
    chosen = [int(track.track_id.removeprefix("track-")) for _ in range(40) for track in random_tracks(3)]
    assert {(number - 1) // 2000 for number in chosen} == {0, 1, 2, 3}
    assert len(set(chosen)) > 80


@on_sqlite
def test_random_tracks_come_from_all_parts_of_a_folder_that_was_added_in_a_moment() -> None:
    fill(8000)
    database.execute_sql("UPDATE track SET created_at = rowid WHERE rowid < 8000")
    chosen = [int(track.track_id.removeprefix("track-")) for _ in range(100) for track in random_tracks(3)]
    assert {(number - 1) // 2000 for number in chosen} == {0, 1, 2, 3}


def test_albums_of_an_artist_or_at_random_read_no_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(400)
    with database.atomic():
        for track in Track.select().where(Track.track_id.in_([f"track-{number}" for number in range(3, 400, 100)])):
            TrackRepository().update(track.track_id, metadata={"artist": "Ada"})
    monkeypatch.setattr(finding, "FEW", 20)
    for run in (
        lambda: albums.albums(TrackQuery("ada", artist="Ada"), Page()),
        lambda: albums.albums(TrackQuery(job_type="synth", artist=""), Page(limit=3)),
        lambda: random_tracks(5),
        lambda: random_tracks(5, TrackQuery(genre="polka")),
        lambda: songs_of(TrackSearch(TrackQuery()).page(Page(limit=5))),
    ):
        assert not scans(plans(run)), plans(run)
    assert walks(
        plans(lambda: Library(TrackQuery(job_type="synth", artist="")).groups(Page(limit=3))), "track_created_at"
    )


def test_four_times_as_many_tracks_are_no_more_work_for_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(albums, "WINDOW", 50)
    monkeypatch.setattr(random, "randint", lambda low, high: high)
    work: list[list[int]] = []
    for tracks in (200, 800):
        with database.atomic():
            database.execute_sql("DELETE FROM job")
        fill(tracks)
        last = albums.albums(TrackQuery(), Page(limit=10, offset=30))[-1]
        runs = [
            lambda: albums.albums(TrackQuery(), Page(limit=10)),
            lambda last=last: albums.albums(TrackQuery(), Page(limit=10, after=last.place)),  # type: ignore[misc]
            lambda: random_tracks(10),
        ]
        work.append([steps(run) for run in runs])
    assert all(more <= 1.7 * few + 50 for few, more in zip(*work, strict=True)), work
