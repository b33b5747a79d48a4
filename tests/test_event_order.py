"""Every reader gets each committed event once and in commit order, whatever happens in between."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException
from typing import Any

import psycopg
import pytest

from models import Job
from repos import JobRepository
from settings import Settings
from tests.conftest import ROOT, Server, clean_environment, on_postgresql, wait_for
from tests.forked import Python
from tests.streams import Listener, all_ids, events_of, ids, take

jobs = JobRepository()


@on_postgresql
def test_an_event_that_is_committed_after_a_higher_one_is_not_skipped(
    job: Job, settings: Settings, listen: Any
) -> None:
    stream = listen()
    next(stream), next(stream)
    with psycopg.connect(settings.database_url) as late:
        late.execute("INSERT INTO job (job_id, prompt) VALUES ('late', 'p')")
        jobs.update("job-1", progress=7)
        resumed = listen(f"/api/events?since={min(all_ids())}")
        assert "event" not in next(stream) and [next(resumed)] == [{"retry": "1000"}]
        threading.Timer(0.3, late.commit).start()
        seen = take(stream, 2)
        assert [event["data"]["entity_id"] for event in seen] == ["late", "job-1"]
        assert ids(take(resumed, 2)) == ids(seen) == all_ids()[-2:]


@on_postgresql
def test_no_event_waits_for_a_transaction_that_wrote_none_or_that_was_rolled_back(
    job: Job, settings: Settings, listen: Any
) -> None:
    stream = listen()
    next(stream), next(stream)
    with psycopg.connect(settings.database_url) as other, psycopg.connect(settings.database_url) as idle:
        idle.execute("UPDATE job SET lease_token = 'x'")
        idle.execute("UPDATE job SET lease_token = NULL")
        other.execute("INSERT INTO job (job_id, prompt) VALUES ('never', 'p')")
        jobs.create(job_id="next", prompt="drums")
        other.rollback()
        assert take(stream, 1)[0]["data"]["entity_id"] == "next"


@on_postgresql
def test_the_feed_outlives_its_connection(job: Job, settings: Settings, listen: Any) -> None:
    stream = listen("/api/events?since=0")
    assert len(take(stream, 1)) == 1
    with psycopg.connect(settings.database_url, autocommit=True) as other:
        [(ended,)] = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name LIKE '%feed' AND datname = current_database()"
        )
        assert ended == 1
        other.execute("UPDATE job SET progress = 7")
    assert take(stream, 1)[0]["data"]["data"]["progress"] == 7


WRITER = """
import os, sys, threading, time
from database import release
from repos import JobRepository, get_session

def write(name, rounds):
    with get_session() as session:
        repo = JobRepository(session)
        for number in range(rounds):
            job_id = f"{name}-{number}"
            repo.create(job_id=job_id, prompt="p")
            for progress in (25, 50, 75):
                repo.update(job_id, progress=progress)
            repo.update(job_id, status="completed") if number % 2 else repo.delete(job_id)

threads = [threading.Thread(target=write, args=(f"{sys.argv[1]}-{n}", int(sys.argv[2]))) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
WRITERS, CHANGES_A_ROUND = 16, 5


def write(url: str, changes: int) -> list[subprocess.Popen[bytes]]:
    """Start 16 writers in four processes, which make so many changes together."""
    rounds = str(changes // WRITERS // CHANGES_A_ROUND)
    env = clean_environment(DATABASE_URL=url, PYTHONPATH=str(ROOT), SQLITE_SYNCHRONOUS="NORMAL")
    return [Python([sys.executable, "-c", WRITER, f"w{one}", rounds], env=env) for one in range(WRITERS // 4)]


class Reader(threading.Thread):
    """Reads all events, hanging up at random and resuming, until it has seen so many."""

    def __init__(self, running: Server, goal: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.running, self.goal, self.random = running, goal, random.Random(seed)
        self.seen: list[int] = []
        self.comebacks = 0

    def run(self) -> None:
        """Read on until the goal is reached."""
        while len(self.seen) < self.goal:
            try:
                self.read()
            except (OSError, HTTPException):  # the server was killed
                time.sleep(0.05)
            self.comebacks += 1

    def read(self) -> None:
        """Resume and read some, perhaps to the end."""
        last = {"Last_Event_ID": str(self.seen[-1])} if self.seen else {}
        with closing(Listener(self.running.port, **last)) as listener:
            enough = min(self.goal, len(self.seen) + self.random.randint(1, self.goal // 5))
            for event in events_of(iter(listener)):
                self.seen.append(int(event["id"]))
                if len(self.seen) >= enough:
                    return


def check_all_readers_get_all_events_in_order(url: str, running: Server, changes: int) -> None:
    """16 writers, readers that come and go, and a server that is killed twice."""
    running.start()
    readers = [Reader(running, changes, seed) for seed in range(6)]
    writers = write(url, changes)
    for reader in readers:
        reader.start()
    for part in (0.3, 0.6):
        wait_for(lambda part=part: min(len(reader.seen) for reader in readers) > part * changes, 240)
        running.signal_all(signal.SIGKILL)
        running.start()
    for reader in readers:
        reader.join(240)
    assert [writer.wait(60) for writer in writers] == [0] * len(writers)
    expected = all_ids()
    assert len(expected) == changes
    assert [reader.seen == expected for reader in readers] == [True] * len(readers)
    assert min(reader.comebacks for reader in readers) > 4


def test_readers_that_come_and_go_see_every_change_once_and_in_order(
    ledger: Settings, server: Callable[..., Server]
) -> None:
    url = ledger.database_url
    check_all_readers_get_all_events_in_order(url, server(DATABASE_URL=url), 400)


@pytest.mark.soak
def test_readers_see_twenty_thousand_changes_once_and_in_order(ledger: Settings, server: Callable[..., Server]) -> None:
    url = ledger.database_url
    check_all_readers_get_all_events_in_order(url, server(DATABASE_URL=url), 20_000)
