"""The clock of the machine is set, forward or back: no work is taken from a live worker, and none waits for ever."""

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from database import database
from files.storage import PART_SECONDS, Storage
from maintenance.clock import WatchedClock
from maintenance.housekeeping import Housekeeping
from models import Delivery, Event, Job, Loop, utc_now
from records import leases
from repos import JobRepository, LoopRepository, stats
from server import webhooks
from settings import Settings

jobs, loops = JobRepository(), LoopRepository()
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.usefixtures("ledger")


class Clocks:
    """A wall clock that can be set, and a monotonic clock, which cannot."""

    def __init__(self) -> None:
        self.now, self.seconds = utc_now(), 1000.0

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """The clocks of this machine, for everything that has to do with leases."""
    clocks = Clocks()
    monkeypatch.setattr(leases, "utc_now", lambda: clocks.now)
    return clocks


@pytest.fixture
def house(ledger: Settings, clocks: Clocks) -> Housekeeping:
    """The housekeeping of a process that has run for ten minutes."""
    house = Housekeeping(Storage(ledger), threading.Event())
    house.clock = WatchedClock(lambda: clocks.now, lambda: clocks.seconds)
    clocks.pass_by(600)
    return house


def test_a_lease_that_ends_later_than_its_own_length_has_expired(job: Job, loop: Loop, clocks: Clocks) -> None:
    for repo, record_id in ((jobs, "job-1"), (loops, "loop-1")):
        repo.claim("w", 60)
        assert repo.requeue_expired() == []
        clocks.now -= HOUR
        [record] = repo.requeue_expired()
        assert (record.record_id, record.status) == (record_id, repo.statuses.pending)


def test_clocks_of_machines_that_differ_a_little_take_no_work(job: Job, clocks: Clocks) -> None:
    jobs.claim("w", 60)
    clocks.now -= timedelta(seconds=3)
    assert jobs.requeue_expired() == []


def test_a_live_worker_renews_a_lease_that_is_past_its_end(job: Job, clocks: Clocks) -> None:
    token = jobs.claim("w", 60).lease_token
    for renew in (jobs.heartbeat, lambda key, token: jobs.update(key, lease_token=token, progress=5)):
        clocks.now += HOUR
        assert renew("job-1", token).lease_expires_at == clocks.now + timedelta(seconds=60)
        assert jobs.requeue_expired() == []


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_jump_of_the_clock_takes_no_work_from_a_live_worker(
    job: Job, house: Housekeeping, clocks: Clocks, jump: timedelta
) -> None:
    token = jobs.claim("w", 60).lease_token
    house.requeue()
    clocks.now += jump
    for _ in range(10):
        house.requeue()
        clocks.pass_by(2)
    assert jobs.heartbeat("job-1", token).lease_token == token
    clocks.pass_by(50)
    house.requeue()
    assert jobs.get_by_id("job-1").lease_token == token


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_dead_worker_loses_its_work_half_a_lease_after_a_jump(
    job: Job, house: Housekeeping, clocks: Clocks, jump: timedelta
) -> None:
    jobs.claim("w", 60)
    clocks.now += jump
    house.requeue()
    clocks.pass_by(29)
    house.requeue()
    assert jobs.get_by_id("job-1").status == "loading_model"
    clocks.pass_by(2)
    house.requeue()
    assert jobs.get_by_id("job-1").status == "pending"


def test_a_process_that_has_just_started_leaves_workers_time_to_renew(job: Job, ledger: Settings) -> None:
    jobs.claim("w", 60)
    Job.update(lease_expires_at=1).execute()
    Housekeeping(Storage(ledger), threading.Event()).requeue()
    assert jobs.get_by_id("job-1").status == "loading_model"


def test_the_folder_of_leased_work_is_never_removed_as_old(job: Job, loop: Loop, house: Housekeeping) -> None:
    tokens = [repo.claim("w", 60).lease_token for repo in (jobs, loops)]
    folders = [house.storage.workshop(token) for token in (*tokens, "f" * 32)]
    for folder in folders:
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - 2 * PART_SECONDS,) * 2)
    house.remove_old_parts()
    assert [folder.exists() for folder in folders] == [True, True, False]


def ended_by(verb: str) -> Any:
    """The job after a claim, and an end by this verb an hour before that claim."""
    token = jobs.claim("w", 60).lease_token
    if verb == "requeue":
        Job.update(max_attempts=1).execute()
        return lambda: jobs.requeue_expired()[0]
    if verb == "release":
        jobs.cancel("job-1")
        return lambda: jobs.release("job-1", token)
    return lambda: jobs.update("job-1", lease_token=token, status=verb)


@pytest.mark.parametrize("verb", ["completed", "failed", "cancelled", "release", "requeue"])
def test_no_work_ends_before_it_started(job: Job, clocks: Clocks, verb: str) -> None:
    end: Callable[[], Any] = ended_by(verb)
    clocks.now -= HOUR
    ended = end()
    assert ended.status in jobs.statuses.final and ended.finished_at == ended.started_at
    assert verb != "completed" or stats()["mean_job_seconds"] == 0


def test_an_end_is_when_it_was_while_the_clock_runs_evenly(job: Job, clocks: Clocks) -> None:
    token = jobs.claim("w", 60).lease_token
    clocks.pass_by(30)
    ended = jobs.update("job-1", lease_token=token, status="completed")
    assert ended.finished_at - ended.started_at == timedelta(seconds=30)


def test_a_webhook_does_not_wait_until_a_clock_that_was_set_back_has_caught_up(job: Job) -> None:
    jobs.update("job-1", status="completed")
    Delivery.update(due_at=utc_now() + timedelta(days=30)).execute()
    claimed = webhooks.claim()
    assert claimed is not None and claimed.due_at <= utc_now() + timedelta(seconds=webhooks.LEASE_SECONDS)
    assert webhooks.claim() is None


def test_webhooks_go_by_the_clock_of_the_database(job: Job) -> None:
    jobs.update("job-1", status="completed")
    statements: list[str] = []
    database.query_hooks.append(lambda event: statements.append(event.sql))
    delivery = webhooks.claim()
    assert delivery is not None
    webhooks.put_off(delivery, "no answer")
    database.query_hooks.pop()
    timed = [sql for sql in statements if "due_at" in sql.partition("WHERE")[2] or sql.startswith("UPDATE")]
    assert len(timed) >= 3 and all("julianday('now')" in sql or "statement_timestamp()" in sql for sql in timed)
    pause = Delivery.get().due_at - Event.select().order_by(Event.event_id.desc()).get().created_at
    assert timedelta(0) < pause < timedelta(minutes=1)


def test_a_watched_clock_counts_from_the_last_jump() -> None:
    clocks = Clocks()
    watched = WatchedClock(lambda: clocks.now, lambda: clocks.seconds)
    steady = []
    for seconds, jump in ((10, 0), (10, 0.1), (10, 3600), (10, 0), (10, -2), (10, -0.1)):
        clocks.pass_by(seconds)
        clocks.now += timedelta(seconds=jump)
        now, steady_seconds = watched.read()
        assert isinstance(now, datetime) and now == clocks.now
        steady.append(steady_seconds)
    assert steady == [10, 20, 0, 10, 0, 10]
