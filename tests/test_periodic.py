"""Threads that repeat an action: they outlive what goes wrong, and say when they do not get through any more."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peewee import OperationalError

from maintenance import housekeeping, periodic
from maintenance.periodic import Periodic
from models import Delivery
from repos import JobRepository
from server import webhooks
from settings import Settings
from tests.conftest import wait_for

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    """Ends the threads of a test."""
    stopping = threading.Event()
    yield stopping
    stopping.set()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock as Periodic reads it."""
    seconds = [1000.0]
    monkeypatch.setattr(periodic, "monotonic", lambda: seconds[0])
    return seconds


@pytest.mark.parametrize("error", [OperationalError("away"), OSError("full"), ValueError("a mistake"), KeyError("x")])
def test_a_thread_outlives_every_exception(
    stopping: threading.Event, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Exception | None] = [error, error, None]
    ran = threading.Event()

    def act() -> None:
        if answers and (failure := answers.pop(0)):
            raise failure
        ran.set()

    thread = Periodic("test", 0.01, act, stopping).start()
    assert ran.wait(20)
    stopping.set()
    thread.join(20)
    said = [record for record in caplog.records if "goes on later" in record.getMessage()]
    assert len(said) == 2 and all(
        bool(record.exc_info) == isinstance(error, LookupError | ValueError) for record in said
    )


def test_a_thread_that_does_not_get_through_is_late(stopping: threading.Event, seconds: list[float]) -> None:
    thread = Periodic("test", 20, lambda: {}["no such key"], stopping)
    thread.run_once()
    assert not thread.is_late()
    seconds[0] += 61
    assert thread.is_late()
    thread.run_once()
    assert thread.is_late()
    thread._action = lambda: None
    thread.run_once()
    assert not thread.is_late()


def test_a_long_action_is_late_after_a_minute_more(stopping: threading.Event, seconds: list[float]) -> None:
    late = []

    def act() -> None:
        for more in (61, 58, 2):
            seconds[0] += more
            late.append(thread.is_late())

    thread = Periodic("test", 20, act, stopping)
    thread.run_once()
    assert late == [False, False, True] and not thread.is_late()


def test_an_action_with_more_to_do_runs_again_at_once_and_is_not_late(
    stopping: threading.Event, seconds: list[float]
) -> None:
    late: list[bool] = []

    def act() -> bool:
        seconds[0] += 50
        late.append(thread.is_late())
        if len(late) == 5:
            stopping.set()
        return True

    thread = Periodic("test", 0.01, act, stopping)
    thread.start()  # act() needs the name thread
    thread.join(20)
    assert late == [False] * 5


@pytest.mark.parametrize("module", ["housekeeping", "webhooks"])
def test_the_threads_of_a_web_process_outlive_a_mistake(
    ledger: Settings, stopping: threading.Event, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    failures, runs = [RuntimeError("a mistake")], []

    def act(*_: Any) -> None:
        runs.append(1)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(housekeeping, "SECONDS", 0.01)
    monkeypatch.setattr(webhooks, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(housekeeping.Housekeeping, "run", act)
    monkeypatch.setattr(webhooks, "deliver_next", act)
    start: dict[str, Callable[[], Periodic]] = {
        "housekeeping": lambda: housekeeping.start(housekeeping.Storage(ledger), stopping),
        "webhooks": lambda: webhooks.start(ledger, stopping),
    }
    thread = start[module]()
    wait_for(lambda: len(runs) > 2, 20)
    assert thread.name == module and not thread.is_late()
    stopping.set()
    thread.join(20)


def test_a_web_process_without_a_webhook_url_keeps_the_newest_deliveries(ledger: Settings) -> None:
    for number in range(8):
        jobs.create(job_id=f"j-{number}", prompt="p", status="completed")
    house = housekeeping.Housekeeping(housekeeping.Storage(ledger), threading.Event(), delivery_limit=5)
    for _ in range(2):
        house.run()
        assert [row.entity_id for row in Delivery.select().order_by(Delivery.event_id)] == [
            f"j-{number}" for number in range(3, 8)
        ]


def test_a_worker_loses_no_delivery(ledger: Settings) -> None:
    for number in range(8):
        jobs.create(job_id=f"j-{number}", prompt="p", status="completed")
    housekeeping.Housekeeping(housekeeping.Storage(ledger), threading.Event()).run()
    assert Delivery.select().count() == 8
