"""Requests that wait: until something is there, until time is up, or until the process is to end."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from web import waiting

pytestmark = pytest.mark.usefixtures("ledger")


@pytest.fixture(autouse=True)
def nobody_stops() -> Iterator[None]:
    """The process goes on, before and after."""
    yield
    waiting.stopping.clear()


def test_what_is_there_is_answered_at_once() -> None:
    assert waiting.wait_for(lambda: "job", 20) == "job"


def test_what_comes_later_is_waited_for() -> None:
    answers: list[Any] = [None, None, "job"]
    assert waiting.wait_for(lambda: answers.pop(0), 20) == "job"


def test_waiting_ends_with_its_time() -> None:
    assert waiting.wait_for(lambda: None, 0) is None
    assert waiting.wait_for(lambda: None, 0.15) is None


def test_waiting_ends_with_the_process() -> None:
    threading.Timer(0.1, waiting.stopping.set).start()
    began = time.monotonic()
    assert waiting.wait_for(lambda: None, 20) is None and time.monotonic() - began < 5


def test_too_many_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WAITERS", threading.BoundedSemaphore(1))
    waiting.WAITERS.acquire()
    assert waiting.wait_for(lambda: None, 20) is None
