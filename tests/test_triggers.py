"""Events and updated_at, which the database itself writes."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models import Event, Job, Loop, Track
from repos import JobRepository
from tests.conftest import ROOT, clean_environment

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def changes_of(entity_id: str) -> list[str]:
    """What the events say happened to a record."""
    return [event.change for event in Event.select().where(Event.entity_id == entity_id).order_by(Event.event_id)]


def test_every_change_of_every_record_is_an_event(loop: Loop) -> None:
    Job.update(progress=5).where(Job.job_id == "job-1").execute()
    Track.update(duration=31).where(Track.track_id == "track-1").execute()
    Loop.update(message="cutting").where(Loop.loop_id == "loop-1").execute()
    Job.delete().where(Job.job_id == "job-1").execute()
    for record_id in ("job-1", "track-1", "loop-1"):
        assert changes_of(record_id) == ["created", "updated", "deleted"]
    assert {event.job_id for event in Event.select()} == {"job-1"}


def test_an_event_tells_the_state_at_that_moment_and_never_the_prompt(job: Job) -> None:
    jobs.update("job-1", status="failed", error="no GPU", message="gave up")
    data = Event.select().order_by(Event.event_id.desc()).get().data
    assert data == {"status": "failed", "progress": 0, "message": "gave up", "error": "no GPU"}


def test_updated_at_rises_with_every_change(job: Job) -> None:
    seen = [job.updated_at]
    for progress in range(1, 30):
        Job.update(progress=progress).where(Job.job_id == job.job_id).execute()
        seen.append(Job.get_by_id(job.job_id).updated_at)
    assert seen == sorted(set(seen))
    assert Job.get_by_id(job.job_id).created_at == job.created_at


@pytest.mark.parametrize("seconds", [-5, 0, 5])
def test_a_writer_may_set_updated_at_but_only_to_a_later_time(job: Job, seconds: int) -> None:
    chosen = job.updated_at + timedelta(seconds=seconds)
    Job.update(progress=5, updated_at=chosen).where(Job.job_id == job.job_id).execute()
    updated_at = Job.get_by_id(job.job_id).updated_at
    assert updated_at > job.updated_at and (updated_at == chosen) is (seconds > 0)


def test_an_event_has_the_same_data_with_and_without_a_message(loop: Loop) -> None:
    for message in (None, 'a "quoted" \\ one'):
        Loop.update(progress=7, message=message).execute()
        data = Event.select().order_by(Event.event_id.desc()).get().data
        assert data == {"status": "PENDING", "progress": 7, "message": message, "error": None}


def test_a_heartbeat_moves_updated_at_and_writes_no_event(job: Job) -> None:
    Job.update(lease_expires_at=datetime.now(UTC)).where(Job.job_id == job.job_id).execute()
    assert Job.get_by_id(job.job_id).updated_at > job.updated_at
    assert changes_of(job.job_id) == ["created"]


def test_a_script_of_three_lines_needs_no_server(ledger: Any, job: Job, kind: str) -> None:
    script = "from models import Job\nJob.update(progress=5).where(Job.job_id == 'job-1').execute()\n"
    url = ledger.database_url
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=clean_environment(DATABASE_URL=url), timeout=30)
    assert done.returncode == 0
    assert Job.get_by_id("job-1").updated_at > job.updated_at
    assert changes_of("job-1") == ["created", "updated"]
