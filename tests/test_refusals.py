"""Refusals of the database in words, sessions, and statistics that stay sensible."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from database import database
from errors import Invalid, MissingParent
from models import Job, Loop, utc_now
from repos import JobRepository, LoopRepository, TrackRepository, get_session, stats

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def circular() -> dict[str, Any]:
    """An object that contains itself."""
    made: dict[str, Any] = {}
    made["self"] = made
    return made


def deep() -> dict[str, Any]:
    """An object nested deeper than Python can follow."""
    made: dict[str, Any] = {}
    for _ in range(100_000):
        made = {"a": made}
    return made


@pytest.mark.parametrize("make", [circular, deep])
def test_metadata_without_an_end_is_refused_in_words(make: Any, job: Job) -> None:
    with pytest.raises(Invalid, match="job cannot hold this"):
        jobs.create(prompt="p", metadata=make())
    with pytest.raises(Invalid, match="job cannot hold this"):
        jobs.update("job-1", metadata=make())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"progress": 101}, "progress"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"job_type": "CHECK constraint failed: job_progress (code=19, ext=275)"}, "job_type"),
        ({"job_type": None}, "job_type"),
    ],
)
def test_a_broken_rule_is_named_by_its_field(changes: dict[str, Any], field: str, job: Job) -> None:
    with pytest.raises(Invalid) as refused:
        jobs.update("job-1", **changes)
    assert refused.value.errors[0]["field"] == field
    assert ("is required" in str(refused.value)) is (None in changes.values())


def test_a_child_that_moves_to_no_parent_is_refused_in_words(loop: Loop) -> None:
    with pytest.raises(MissingParent, match="track_id must name an existing track"):
        loops.update("loop-1", track_id="nobody")
    with pytest.raises(MissingParent, match="job_id must name an existing job"):
        tracks.update("track-1", job_id="nobody")


def test_closing_a_session_in_another_thread_does_no_harm() -> None:
    session, raised = get_session(), []

    def close() -> None:
        try:
            session.close()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert raised == [] and not database.is_closed()
    session.close()
    assert database.is_closed()


def test_the_mean_time_of_a_job_is_never_negative() -> None:
    now = utc_now()
    jobs.create(prompt="p", status="completed", started_at=now, finished_at=now - timedelta(hours=1))
    assert stats()["mean_job_seconds"] == 0
    jobs.create(prompt="p", status="completed", started_at=now, finished_at=now + timedelta(seconds=10))
    assert stats()["mean_job_seconds"] == pytest.approx(5)
