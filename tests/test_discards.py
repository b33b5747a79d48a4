"""Deleted tracks and their undo: exact, at once for everyone, and of many tracks in one transaction."""

from datetime import timedelta
from typing import Any

import peewee
import pytest

from database import database
from errors import Conflict, WrongStatus
from models import Delivery, Discard, Event, Job, Loop, Track, utc_now
from records import discards
from records.tally import tally
from repos import JobRepository, LoopRepository, TrackRepository

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def rows(table: str) -> list[Any]:
    """All rows of a table without their versions, as the database stores them."""
    names = [f'"{column.name}"' for column in database.get_columns(table) if column.name != "updated_at"]
    return list(database.execute_sql(f"SELECT {', '.join(names)} FROM {table} ORDER BY {table}_id").fetchall())


@pytest.fixture
def takes(job: Job) -> Job:
    """A job with four takes, of which the second has a star; the first has a completed loop."""
    jobs.update("job-1", takes=4)
    for number in range(1, 5):
        tracks.create(
            track_id=f"take-{number}", job_id="job-1", take=number, seed=number, title=f"Täke {number}", duration=1.5,
            starred=number == 2, metadata={"genre": "Ambient", "odd": [1.0, 10**18, "é\u2028"]},
            provenance={"version": "1"}, file_path_wav=f"jobs/job-1/{number}.wav",
        )  # fmt: skip
    loops.create(loop_id="done", track_id="take-1", duration=10, status="COMPLETED", analysis={"bpm": 99.9})
    return job


def changes(since: int) -> list[tuple[str, str, str]]:
    """The events after this one."""
    events = Event.select().where(Event.event_id > since).order_by(Event.event_id)
    return [(event.entity, event.entity_id, event.change) for event in events]


def newest() -> int:
    """The id of the newest event."""
    return int(Event.select(Event.event_id).order_by(Event.event_id.desc()).limit(1).scalar())


def test_a_discard_deletes_all_tracks_without_a_star_and_undo_brings_them_back_as_they_were(takes: Job) -> None:
    before, versions = (
        (rows("track"), rows("loop"), tally("track"), tally("loop")),
        dict(Track.select(Track.track_id, Track.updated_at).tuples()),
    )
    discard = discards.discard_job("job-1", 1234)
    assert discard is not None and (discard.state, discard.tracks, discard.loops) == ("waiting", 3, 1)
    assert discard.bytes == 1234 and discard.expires_at - discard.created_at == timedelta(seconds=10)
    assert [track.track_id for track in tracks.get_by_job_id("job-1")] == ["take-2"]
    assert (Loop.select().count(), tally("track"), sum(tally("loop").values())) == (0, {"": 1}, 0)
    undone = discards.undo(discard.discard_id)
    assert undone is not None and undone.state == "undone"
    assert (rows("track"), rows("loop"), tally("track"), tally("loop")) == before
    after = dict(Track.select(Track.track_id, Track.updated_at).tuples())
    assert all(after[name] > versions[name] for name in versions if name != "take-2")
    assert database.execute_sql("SELECT count(*) FROM discarded_track").fetchone() == (0,)


def test_other_browsers_hear_of_it_and_no_webhook_is_sent_again(takes: Job) -> None:
    Delivery.delete().execute()
    start = newest()
    discard = discards.discard_job("job-1")
    assert discard is not None
    deleted = {("track", f"take-{number}", "deleted") for number in (1, 3, 4)} | {("loop", "done", "deleted")}
    assert set(changes(start)) == deleted
    start = newest()
    discards.undo(discard.discard_id)
    heard = changes(start)
    assert heard == [*(("track", f"take-{number}", "created") for number in (1, 3, 4)), ("loop", "done", "created")]
    assert Delivery.select().count() == 0


def test_undo_can_be_repeated(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None
    first, start = discards.undo(discard.discard_id), newest()
    assert discards.undo(discard.discard_id) == first and changes(start) == []
    assert discards.of_job("job-1") == []


def test_the_last_choice_is_that_of_a_person(takes: Job) -> None:
    tracks.update("take-2", starred=False)
    with pytest.raises(WrongStatus, match="no track of job job-1 has a star"):
        discards.discard_job("job-1")
    Track.update(starred=True).execute()
    with pytest.raises(WrongStatus, match="every track of job job-1 has a star"):
        discards.discard_job("job-1")
    jobs.create(job_id="empty", prompt="x")
    with pytest.raises(WrongStatus, match="has no tracks"):
        discards.discard_job("empty")
    assert discards.discard_job("nobody") is None
    assert (Track.select().count(), Discard.select().count()) == (4, 0)


def test_tracks_of_several_jobs_share_a_discard(takes: Job) -> None:
    jobs.create(job_id="other", prompt="x")
    tracks.create(track_id="theirs", job_id="other")
    discard, present = discards.discard_tracks(["theirs", "take-1", "nobody"])
    assert discard is not None and (discard.job_id, discard.tracks, discard.loops) == (None, 2, 1)
    assert sorted(present) == ["take-1", "theirs"] and discards.of_job("other") == []
    assert discards.undo(discard.discard_id) and Track.select().count() == 5
    assert discards.discard_tracks(["nobody"]) == (None, [])


def test_tracks_of_one_job_are_a_discard_of_that_job(takes: Job) -> None:
    first, _ = discards.discard_tracks(["take-1"])
    second, _ = discards.discard_tracks(["take-2", "take-3"])
    assert discards.of_job("job-1") == [second, first]


@pytest.mark.parametrize(("cancel_requested", "status"), [(False, "PENDING"), (True, "CANCELLED")])
def test_a_loop_that_was_being_made_is_free_again(track: Track, cancel_requested: bool, status: str) -> None:
    loops.create(loop_id="running", track_id="track-1", duration=10)
    leased = loops.claim("w")
    assert leased is not None
    if cancel_requested:
        loops.cancel("running")
    discard, _ = discards.discard_tracks(["track-1"])
    assert discard is not None and loops.heartbeat("running", str(leased.lease_token)) is None
    discards.undo(discard.discard_id)
    loop = loops.get_by_id("running")
    assert loop is not None and (loop.status, loop.lease_token, loop.worker is None) == (
        status,
        None,
        not cancel_requested,
    )
    assert (loops.claim("w") is not None) is not cancel_requested


def test_undo_is_refused_when_the_job_was_deleted(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None and jobs.delete("job-1")
    with pytest.raises(Conflict, match="job job-1 was deleted meanwhile"):
        discards.undo(discard.discard_id)
    assert (discards.get(discard.discard_id) == discard, Track.select().count()) == (True, 0)


def test_undo_brings_no_track_into_another_job_of_the_same_id(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    jobs.update("job-1", prompt="snow")
    assert discard is not None and jobs.delete("job-1")
    jobs.create(job_id="job-1", prompt="another")
    with pytest.raises(Conflict, match="job job-1 was deleted meanwhile, and another job has its id"):
        discards.undo(discard.discard_id)
    assert (discards.get(discard.discard_id) == discard, Track.select().count()) == (True, 0)


@pytest.mark.parametrize("kind_of_record", ["track", "loop"])
def test_undo_is_refused_when_an_id_is_taken(takes: Job, kind_of_record: str) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None
    if kind_of_record == "track":
        tracks.create(track_id="take-3", job_id="job-1")
    else:
        loops.create(loop_id="done", track_id="take-2", duration=1)
    with pytest.raises(Conflict, match=f"{kind_of_record} .* exists again"):
        discards.undo(discard.discard_id)
    assert Track.select().count() == (2 if kind_of_record == "track" else 1)


def test_undo_ends_with_the_discard(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None and discards.expire(discard.discard_id)
    assert discards.undo(discard.discard_id) is None and discards.get(discard.discard_id) is None
    discards.forget(discard.discard_id)
    assert discards.states() == {} and discards.undo(discard.discard_id) is None
    assert database.execute_sql("SELECT count(*) FROM discarded_loop").fetchone() == (0,)


def test_a_discard_that_was_undone_does_not_expire(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None and discards.undo(discard.discard_id)
    assert not discards.expire(discard.discard_id) and Track.select().count() == 4


def test_a_discard_that_can_be_undone_is_not_forgotten(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None
    discards.forget(discard.discard_id)
    assert discards.undo(discard.discard_id) and Track.select().count() == 4


def test_a_thousand_tracks_need_few_statements(job: Job, statements: list[str]) -> None:
    with database.atomic():
        fields = {"job": "job-1", "created_at": utc_now(), "updated_at": utc_now()}
        for start in range(0, 1000, 500):
            Track.insert_many([{"track_id": f"t{start + n}", **fields} for n in range(500)]).execute()
    tracks.update("t7", starred=True)
    statements.clear()
    discard = discards.discard_job("job-1")
    assert discard is not None and (discard.tracks, len(statements) < 20) == (999, True)
    statements.clear()
    assert discards.undo(discard.discard_id) and len(statements) < 30
    assert Track.select().count() == 1000 and tally("track") == {"": 1000}


def test_a_broken_row_is_no_taken_id(takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None
    database.execute_sql("UPDATE discarded_track SET take = 99 WHERE track_id = 'take-3'")
    with pytest.raises(peewee.IntegrityError, match="take"):
        discards.undo(discard.discard_id)
    assert (discards.get(discard.discard_id) == discard, Track.select().count()) == (True, 1)
