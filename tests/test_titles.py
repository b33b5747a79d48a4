"""The title and the star of tracks, in the database and its repositories."""

from typing import Any

import pytest
from peewee import IntegrityError

from database import database, init_database
from errors import Invalid
from models import LONGEST_TITLE, Event, Job, Track
from repos import TrackRepository
from settings import Settings
from tests.migrations import drop_title_columns, read

tracks = TrackRepository()
pytestmark = pytest.mark.usefixtures("ledger")


@pytest.mark.parametrize(
    "fields", [{}, {"title": "Night train", "starred": True}, {"title": "夜" * LONGEST_TITLE}, {"starred": False}]
)
def test_a_track_stores_its_title_and_its_star(job: Job, fields: dict[str, Any]) -> None:
    made = tracks.create(track_id="track-1", job_id="job-1", **fields)
    read_again = tracks.get_by_id("track-1")
    expected = {"title": None, "starred": False, **fields}
    assert {name: getattr(made, name) for name in expected} == expected
    assert {name: getattr(read_again, name) for name in expected} == expected


@pytest.mark.parametrize("title", ["", "   ", "a" * (LONGEST_TITLE + 1)])
def test_a_blank_or_long_title_is_refused(track: Track, title: str) -> None:
    with pytest.raises(Invalid, match="title must be a text of 1 to 200 characters"):
        tracks.update("track-1", title=title)
    with pytest.raises(IntegrityError), database.atomic():
        Track.update(title=title).execute()


@pytest.mark.parametrize("change", [{"title": "Rain"}, {"starred": True}])
def test_a_new_title_or_star_is_an_event_and_a_new_version(track: Track, change: dict[str, Any]) -> None:
    before, events = read("SELECT updated_at FROM track")[0][0], Event.select().count()
    Track.update(**change).execute()  # as a script does, without the repository
    assert read("SELECT updated_at FROM track")[0][0] > before
    newest = Event.select().order_by(Event.event_id.desc()).first()
    assert Event.select().count() == events + 1
    assert (newest.entity, newest.entity_id, newest.change) == ("track", "track-1", "updated")


def test_old_tracks_have_no_title_and_no_star(ledger: Settings, track: Track) -> None:
    before, events = read("SELECT updated_at FROM track"), Event.select().count()
    drop_title_columns()
    assert init_database(ledger) == ["0006_titles", "0009_library_index"]
    assert read("SELECT updated_at FROM track") == before and Event.select().count() == events
    assert read("SELECT title, starred FROM track") == [[None, 0]]
    assert tracks.update("track-1", starred=True, title="Rain") is not None
