"""Connections: when they end, and what happens without one."""

import threading
from typing import Any

import pytest
from cysqlite import OperationalError
from playhouse.pool import MaxConnectionsExceeded

from database import database
from repos import JobRepository

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def test_connections_end_with_their_threads(kind: str) -> None:
    def work() -> None:
        jobs.create(prompt="p")
        open_ones.append(database.connection())

    open_ones: list[Any] = []
    for _ in range(30):  # more than the pool of PostgreSQL holds
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert jobs.count() == 30
    if kind == "sqlite":
        with pytest.raises(OperationalError, match="closed database"):
            open_ones[0].execute("SELECT 1")


def test_an_exhausted_pool_is_our_trouble_not_the_callers(ledger: Any, kind: str, monkeypatch: Any) -> None:
    if kind == "sqlite":
        pytest.skip("SQLite has no pool")
    monkeypatch.setattr(database.obj, "_wait_timeout", 0.1)
    database.close()
    monkeypatch.setattr(database.obj, "_max_connections", 1)
    taken = threading.Event()
    done = threading.Event()

    def hold() -> None:
        database.connect()
        taken.set()
        done.wait(10)
        database.close()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    with pytest.raises(MaxConnectionsExceeded):
        jobs.create(prompt="p")
    done.set()
    holder.join()
