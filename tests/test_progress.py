"""Progress that a worker cannot record: it goes on when the database is away, and ends when its report is refused."""

import threading

import pytest
from peewee import OperationalError

from errors import LeaseLost
from models import Event, Job
from repos import JobRepository
from settings import Settings
from studio.songs import SongAttempt
from studio.worker import JobWorker
from tests.conftest import on_sqlite

jobs = JobRepository()


def fails(error: Exception) -> object:
    """A function that raises the error, whatever it is called with."""

    def call(*_: object, **__: object) -> None:
        raise error

    return call


@pytest.fixture
def attempt(ledger: Settings, job: Job) -> SongAttempt:
    """An attempt at the job, leased for a minute."""
    ledger.storage_dir.mkdir(exist_ok=True)
    leased, worker = jobs.claim("w"), JobWorker(ledger)
    assert leased is not None
    return SongAttempt(ledger, leased, threading.Event(), worker.recipes["synth"], worker.warm)


@on_sqlite
def test_an_attempt_goes_on_when_the_database_is_away_for_its_report(
    attempt: SongAttempt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(JobRepository, "update", fails(OperationalError("the server is away")))
        attempt.report("generating_audio", 40, "step 4")
    assert "progress is not recorded just now" in caplog.text and not attempt.lease.stop()
    attempt.report("exporting", 90, "encoding")
    assert jobs.get_by_id("job-1").progress == 90


@on_sqlite
def test_an_attempt_whose_report_is_refused_ends(attempt: SongAttempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobRepository, "update", fails(LeaseLost("another worker has it")))
    attempt.report("generating_audio", 40, "step 4")
    assert attempt.lease.stop() and attempt.lease.why == "lost"


@on_sqlite
def test_progress_that_repeats_the_last_report_is_not_written(
    attempt: SongAttempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.attempt.REPORT_SECONDS", 0)
    versions = []
    for status, progress, message in [("generating_audio", 40, "step"), ("generating_audio", 40, "step"),
                                      ("loading_model", 12, "step"), ("generating_audio", 41, "step"),
                                      ("generating_audio", 41, "next"), ("exporting", 41, "next")]:  # fmt: skip
        attempt.report(status, progress, message)
        versions.append(jobs.get_by_id("job-1").version)
    assert len(set(versions)) == 4 and versions[0] == versions[2] and versions == sorted(versions)


@on_sqlite
def test_progress_within_half_a_second_is_written_only_with_a_new_status(attempt: SongAttempt) -> None:
    for status, progress, message in [
        ("generating_audio", 40, "a"),
        ("generating_audio", 50, "b"),
        ("exporting", 90, ""),
    ]:
        attempt.report(status, progress, message)
    events = [event.data for event in Event.select().where(Event.entity_id == "job-1").order_by(Event.event_id)]
    assert [event["progress"] for event in events] == [0, 0, 40, 90] and events[-1]["message"] is None
