"""Threads that write at the same moment, for the tests of group commit."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import peewee

from database import database
from tests.service import wait_for


def begin_together(pool: ThreadPoolExecutor, *tasks: Callable[[], Any]) -> list[Future[Any]]:
    """Start these tasks while another thread has the turn: all of them wait for it, so they can share one commit."""
    has_turn, may_end = threading.Event(), threading.Event()

    def hold_turn() -> None:
        with suppress(peewee.OperationalError), database.atomic():
            has_turn.set()
            assert may_end.wait(10)

    pool.submit(hold_turn)
    assert has_turn.wait(10)
    started = [pool.submit(task) for task in tasks]
    wait_for(lambda: database.obj._groups._waiting == len(tasks), 30)
    may_end.set()
    return started
