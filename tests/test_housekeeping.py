"""Housekeeping: events are kept for some days, and no longer."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from database import database
from files.storage import Storage
from maintenance import housekeeping
from models import EPOCH, Event, Job, utc_now
from repos import JobRepository
from settings import Settings
from tests.conftest import wait_for
from tests.streams import blocks, events_of

jobs = JobRepository()


def age(count: int) -> None:
    """Make the first so many events older than any is kept."""
    first = Event.select(Event.event_id).order_by(Event.event_id).limit(count)
    Event.update(created_at=EPOCH).where(Event.event_id.in_(first)).execute()


def test_old_events_are_deleted_and_the_rest_is_kept(job: Job, ledger: Settings) -> None:
    for progress in range(1, 10):
        jobs.update("job-1", progress=progress)
    age(6)
    assert housekeeping.prune(Event, 7) == 6
    assert [event.data["progress"] for event in Event.select().order_by(Event.event_id)] == [6, 7, 8, 9]
    assert housekeeping.prune(Event, 7) == 0


def test_many_are_deleted_a_few_at_a_time(job: Job, ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 3)
    monkeypatch.setattr(housekeeping, "BATCHES", 2)
    for progress in range(1, 10):
        jobs.update("job-1", progress=progress)
    age(10)
    for left in (4, 0, 0):
        housekeeping.forget(threading.Event(), Event, 7)
        assert Event.select().count() == left


def test_nothing_to_delete_costs_one_read(job: Job, ledger: Settings) -> None:
    asked: list[Any] = []
    database.query_hooks.append(asked.append)
    housekeeping.forget(threading.Event(), Event, 7)
    database.query_hooks.remove(asked.append)
    assert len(asked) == 1 and " LIMIT " in asked[0].sql


def test_a_stream_that_left_before_is_told_to_read_again(job: Job, client: FlaskClient) -> None:
    seen = Event.select().order_by(Event.event_id.desc()).first().event_id
    jobs.update("job-1", progress=5)
    jobs.update("job-1", progress=6)
    age(2)
    assert housekeeping.prune(Event, 7) == 2
    answer = client.get(f"/api/events?since={seen}")
    assert next(events_of(blocks(answer.response)))["event"] == "resync"
    answer.close()
    assert seen < Event.select().get().event_id


def test_old_events_stay_until_the_clock_has_run_evenly_for_an_hour(
    job: Job, ledger: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(1)
    stopping = threading.Event()
    house = housekeeping.Housekeeping(Storage(ledger), stopping)
    house.run()
    assert Event.select().count() == 1
    monkeypatch.setattr("maintenance.clock.STEADY_SECONDS", 0)
    monkeypatch.setattr(housekeeping, "SECONDS", 0.01)
    keeper = housekeeping.start(Storage(ledger), stopping)
    wait_for(lambda: not Event.select().exists(), 30)
    stopping.set()
    keeper.join(30)


def test_events_from_the_future_are_deleted_with_a_later_one_that_is_too_old(job: Job, ledger: Settings) -> None:
    jobs.update("job-1", progress=5)
    jobs.update("job-1", progress=6)
    first, second, third = Event.select().order_by(Event.event_id)
    dated(first, 900)
    assert housekeeping.prune(Event, 7) == 0
    dated(second, -8)
    dated(third, 900)
    assert housekeeping.prune(Event, 7) == 2
    assert [event.data["progress"] for event in Event.select()] == [6]


def test_events_from_the_past_are_deleted_only_after_those_before_them(job: Job, ledger: Settings) -> None:
    jobs.update("job-1", progress=5)
    first, second = Event.select().order_by(Event.event_id)
    dated(second, -400)
    assert housekeeping.prune(Event, 7) == 0
    dated(first, -8)
    assert housekeeping.prune(Event, 7) == 2


def test_a_whole_batch_from_the_future_is_deleted_with_a_later_one(
    job: Job, ledger: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 1)
    jobs.update("job-1", progress=5)
    first, second = Event.select().order_by(Event.event_id)
    dated(first, 900)
    dated(second, -8)
    housekeeping.forget(threading.Event(), Event, 7)
    assert Event.select().count() == 0


def dated(event: Event, days: float) -> None:
    """Give an event a date so many days ahead, or back if they are negative."""
    Event.update(created_at=utc_now() + timedelta(days=days)).where(Event.event_id == event.event_id).execute()
