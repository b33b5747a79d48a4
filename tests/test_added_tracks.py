"""Tracks that a worker records one by one: under its lease, all or none, and once however often they are sent."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest

from database import database, release_connection
from errors import Conflict, Invalid, LeaseLost
from models import Event, Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import ROOT, clean_environment, on_postgresql, thorough

jobs, tracks = JobRepository(), TrackRepository()
ROUNDS = thorough(300, 20)
FIRST = {"track_id": "take-1", "duration": 9.5, "seed": 7, "take": 1, "provenance": {"generator": "synth"}}
SECOND = {"track_id": "take-2", "duration": 1 / 3, "seed": 8, "take": 2}


@pytest.fixture
def token(ledger: Settings, job: Job) -> str:
    """The lease of job-1, whose end is near."""
    leased = jobs.claim("w", 600)
    assert leased is not None
    Job.update(lease_expires_at=2).execute()
    return str(leased.lease_token)


def lease_end() -> int:
    """When the lease of job-1 ends, in microseconds since 1970."""
    return int(jobs.get_value("job-1", "lease_expires_at"))


def test_tracks_are_added_and_the_lease_is_renewed(token: str) -> None:
    before = jobs.get_by_id("job-1")
    added = jobs.add_tracks("job-1", token, [FIRST, SECOND])
    assert [track.__data__ for track in added] == [track.__data__ for track in tracks.get_by_job_id("job-1")]
    assert [(track.track_id, track.seed, track.take) for track in added] == [("take-1", 7, 1), ("take-2", 8, 2)]
    after = jobs.get_by_id("job-1")
    assert before is not None and after is not None and after.status == before.status
    assert (after.lease_expires_at - after.updated_at).total_seconds() == pytest.approx(600, abs=5)


def test_each_track_is_an_event_and_the_job_has_none(token: str) -> None:
    newest = Event.select().count()
    jobs.add_tracks("job-1", token, [FIRST, SECOND])
    events = Event.select().order_by(Event.event_id).offset(newest)
    assert [(event.entity_id, event.change) for event in events] == [("take-1", "created"), ("take-2", "created")]


def test_takes_are_added_one_by_one_and_the_last_one_completes_the_job(token: str) -> None:
    jobs.add_tracks("job-1", token, [FIRST])
    jobs.add_tracks("job-1", token, [SECOND])
    done = jobs.complete("job-1", token, [{"track_id": "take-3", "take": 3}])
    assert done is not None and done.status == "completed"
    assert [track.take for track in tracks.get_by_job_id("job-1")] == [1, 2, 3]


def test_a_call_that_is_repeated_adds_nothing(token: str) -> None:
    jobs.add_tracks("job-1", token, [FIRST])
    tracks.update("take-1", metadata={"track_name": "Rain"})
    again = jobs.add_tracks("job-1", token, [FIRST, SECOND])
    assert [track.metadata for track in again] == [{"track_name": "Rain"}, {}]
    assert Track.select().count() == 2 and lease_end() > 2


@pytest.mark.parametrize("wrong", ["", "another"])
def test_tracks_without_the_lease_are_refused(token: str, wrong: str) -> None:
    with pytest.raises(LeaseLost, match="job-1 is leased to w"):
        jobs.add_tracks("job-1", wrong, [FIRST])
    assert Track.select().count() == 0 and lease_end() == 2


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_tracks_of_a_job_that_has_ended_are_refused(token: str, status: str) -> None:
    jobs.update("job-1", lease_token=token, status=status)
    with pytest.raises(LeaseLost, match=f"job-1 is {status} and not leased"):
        jobs.add_tracks("job-1", token, [FIRST])
    assert Track.select().count() == 0


def test_tracks_of_a_deleted_job_are_not_added(token: str) -> None:
    jobs.delete("job-1")
    assert jobs.add_tracks("job-1", token, [FIRST]) == []
    assert jobs.add_tracks("nobody", token, [FIRST]) == [] and Track.select().count() == 0


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"track_id": "take-2", "take": 33}, Invalid),
        ({"track_id": "take-2", "colour": "red"}, Invalid),
        ({"track_id": "other", "duration": 2}, Conflict),
    ],
)
def test_one_refused_track_means_that_none_is_added(token: str, wrong: dict[str, Any], error: Any) -> None:
    tracks.create(track_id="other", job_id="job-1", duration=1)
    with pytest.raises(error):
        jobs.add_tracks("job-1", token, [FIRST, wrong])
    assert [track.track_id for track in Track.select()] == ["other"] and lease_end() == 2


# --- kills and races

KILLED = """
import os, sys
from database import database
from repos import JobRepository
with database.atomic():
    JobRepository().add_tracks("job-1", sys.argv[1], [{"track_id": "take-1", "duration": 9.5}])
    if sys.argv[2] == "before":
        os._exit(9)
os._exit(9)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_worker_leaves_a_take_whole_or_not_at_all(ledger: Settings, token: str, moment: str) -> None:
    env = clean_environment(DATABASE_URL=ledger.database_url)
    ended = subprocess.run([sys.executable, "-c", KILLED, token, moment], cwd=ROOT, env=env, timeout=60)
    assert ended.returncode == 9
    is_there = moment == "after"
    assert (Track.select().count(), lease_end() > 2) == (is_there, is_there)
    [again] = jobs.add_tracks("job-1", token, [{"track_id": "take-1", "duration": 9.5}])
    assert Track.select().count() == 1 and again.duration == 9.5


@on_postgresql
def test_a_job_is_not_taken_from_a_worker_that_is_adding_tracks(token: str) -> None:
    with ThreadPoolExecutor(1) as pool, database.atomic():
        jobs.add_tracks("job-1", token, [FIRST])
        other = pool.submit(lambda: (jobs.requeue_expired(), jobs.claim("another"), release_connection()))
        assert other.result(20)[:2] == ([], None)
    assert jobs.get_by_id("job-1").worker == "w"


def test_only_one_of_two_workers_records_a_take(two: ThreadPoolExecutor) -> None:
    for number in range(ROUNDS):
        job_id, start = f"race-{number}", Barrier(2)
        jobs.create(job_id=job_id, prompt="p")
        token = jobs.claim("first", 600).lease_token  # type: ignore[union-attr]
        Job.update(lease_expires_at=1).where(Job.job_id == job_id).execute()
        for done in [two.submit(record, start, job_id, token), two.submit(take_over, start, job_id)]:
            done.result(30)
        holder = jobs.get_by_id(job_id).worker  # None if neither: PostgreSQL skips a job that is locked for a moment
        assert [take.metadata["worker"] for take in tracks.get_by_job_id(job_id)] == ([holder] if holder else [])
        jobs.delete(job_id)


def record(start: Barrier, job_id: str, token: str) -> None:
    """Add a take as the worker whose lease has expired."""
    start.wait(20)
    with suppress(LeaseLost):
        jobs.add_tracks(job_id, token, [{"take": 1, "metadata": {"worker": "first"}}])


def take_over(start: Barrier, job_id: str) -> None:
    """Put the job back into the queue, claim it and add its take, unless the first worker has renewed the lease."""
    start.wait(20)
    jobs.requeue_expired()
    claimed = jobs.claim("second")
    if claimed is not None:
        jobs.add_tracks(job_id, str(claimed.lease_token), [{"take": 1, "metadata": {"worker": "second"}}])
