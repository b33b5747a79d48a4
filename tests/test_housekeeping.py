"""Housekeeping: events are kept for some days, and no longer."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from database import database
from maintenance import housekeeping
from models import EPOCH, Event, Job
from repos import JobRepository
from settings import Settings
from tests.conftest import Server, wait_for
from tests.streams import Listener, blocks, events_of

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


def test_a_server_forgets_by_itself(ledger: Settings, server: Callable[..., Server]) -> None:
    jobs.create(job_id="old", prompt="p")
    running = server(DATABASE_URL=ledger.database_url, EVENT_RETENTION_DAYS="0.00001").start()
    wait_for(lambda: not Event.select().exists(), 30)
    jobs.create(job_id="new", prompt="p")
    listener = Listener(running.port)
    assert next(events_of(iter(listener)))["event"] == "resync"
    listener.close()
