"""The clock of the machine is set, forward or back: no work is taken from a live worker, and none waits for ever."""

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import Any

import pytest

from database import database
from errors import LeaseLost
from files.storage import PART_SECONDS, Storage
from maintenance.clock import WatchedClock
from maintenance.housekeeping import SECONDS, Housekeeping
from maintenance.lease_watch import LeaseWatch
from models import Delivery, Event, Job, Loop, Track, utc_now
from records import leases
from repos import JobRepository, LoopRepository, stats
from server import webhooks
from settings import Settings
from tests.conftest import on_sqlite

jobs, loops = JobRepository(), LoopRepository()
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR, -YEAR], ids=["1h", "-1h", "1y", "-1y"])
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
    house = another_house(ledger, clocks)
    clocks.pass_by(600)
    return house


def another_house(ledger: Settings, clocks: Clocks) -> Housekeeping:
    """The housekeeping of a process that has just started, with clocks of its own."""
    house = Housekeeping(Storage(ledger), threading.Event())
    house.clock = WatchedClock(lambda: clocks.now, lambda: clocks.seconds)
    house.leases = {name: LeaseWatch(lambda: clocks.now, lambda: clocks.seconds) for name in house.leases}
    return house


def rounds(house: Housekeeping, clocks: Clocks, seconds: float) -> None:
    """Let time pass, with a round of housekeeping every two seconds."""
    for _ in range(round(seconds / SECONDS)):
        clocks.pass_by(SECONDS)
        house.requeue()


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


@on_sqlite
@JUMPS
def test_a_jump_of_the_clock_takes_no_work_from_a_live_worker(
    job: Job, house: Housekeeping, clocks: Clocks, jump: timedelta
) -> None:
    token = jobs.claim("w", 60).lease_token
    for _ in range(4):
        rounds(house, clocks, 10)
        clocks.now += jump
        rounds(house, clocks, 10)
        assert jobs.heartbeat("job-1", token).lease_token == token
        jump = -jump


@on_sqlite
@JUMPS
@pytest.mark.parametrize("at", [0, 30, 58])
def test_no_lease_lives_past_twice_its_length(
    job: Job, loop: Loop, house: Housekeeping, clocks: Clocks, jump: timedelta, at: float
) -> None:
    jobs.claim("w", 60), loops.claim("w", 60)
    rounds(house, clocks, at)
    clocks.now += jump
    rounds(house, clocks, 66 - at)
    assert (jobs.get_by_id("job-1").status, loops.get_by_id("loop-1").status) == ("pending", "PENDING")


@on_sqlite
def test_a_clock_that_jumps_again_and_again_keeps_no_lease(job: Job, house: Housekeeping, clocks: Clocks) -> None:
    jobs.claim("w", 60)
    for _ in range(31):
        assert jobs.get_by_id("job-1").status == "loading_model"
        clocks.now -= timedelta(seconds=SECONDS)
        rounds(house, clocks, SECONDS)
    assert jobs.get_by_id("job-1").status == "pending"


@on_sqlite
@JUMPS
def test_a_worker_that_is_alive_keeps_its_work_on_a_machine_whose_clock_is_wrong(
    job: Job, ledger: Settings, clocks: Clocks, jump: timedelta
) -> None:
    right = Clocks()
    house, token = another_house(ledger, right), jobs.claim("w", 60).lease_token
    clocks.now += jump
    for _ in range(5):
        rounds(house, right, 20)
        clocks.pass_by(20)
        assert jobs.heartbeat("job-1", token).lease_token == token
    rounds(house, right, 34)
    assert jobs.get_by_id("job-1").status == "pending"


@on_sqlite
@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_dead_worker_loses_its_work_half_a_lease_after_a_process_has_started(
    job: Job, ledger: Settings, clocks: Clocks, jump: timedelta
) -> None:
    jobs.claim("w", 60)
    clocks.now += jump
    house = another_house(ledger, clocks)
    house.requeue()
    rounds(house, clocks, 28)
    assert jobs.get_by_id("job-1").status == "loading_model"
    rounds(house, clocks, 2)
    assert jobs.get_by_id("job-1").status == "pending"


def test_a_lease_that_is_renewed_after_it_was_read_is_not_lost(job: Job, loop: Loop) -> None:
    for repo, record_id in ((jobs, "job-1"), (loops, "loop-1")):
        token = repo.claim("w", 60).lease_token
        lost = repo.leases()
        repo.heartbeat(record_id, token)
        assert repo.requeue(lost) == []
        [lease] = repo.leases()
        assert (lease.record_id, lease.token, lease.seconds) == (record_id, token, 60)
        assert [record.lease_token for record in repo.requeue([lease])] == [token]


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["1y", "-1y"])
def test_nothing_completes_twice_when_the_clock_jumps(
    job: Job, house: Housekeeping, clocks: Clocks, jump: timedelta
) -> None:
    first = jobs.claim("w", 60).lease_token
    clocks.now += jump
    rounds(house, clocks, 70)
    second = jobs.claim("v", 60).lease_token
    with pytest.raises(LeaseLost):
        jobs.complete("job-1", first, [{"duration": 3}])
    assert jobs.complete("job-1", second, [{"duration": 3}]).status == "completed"
    with pytest.raises(LeaseLost):
        jobs.complete("job-1", first, [{"duration": 3}])
    ends = [event for event in Event.select() if event.data.get("status") == "completed"]
    assert len(ends) == Track.select().count() == 1


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
    seconds_since_jump = []
    for seconds, jump in ((10, 0), (10, 0.1), (10, 3600), (10, 0), (10, -2), (10, -0.1)):
        clocks.pass_by(seconds)
        clocks.now += timedelta(seconds=jump)
        seconds_since_jump.append(watched.seconds_since_jump())
    assert seconds_since_jump == [inf, inf, 0, 10, 0, 10]


def test_a_watched_clock_is_steady_an_hour_after_it_was_made_and_after_a_jump() -> None:
    clocks = Clocks()
    watched = WatchedClock(lambda: clocks.now, lambda: clocks.seconds)
    steady = []
    for seconds, jump in ((3599, 0), (2, 0), (3600, 0), (1, 9), (3599, 0), (2, 0)):
        clocks.pass_by(seconds)
        clocks.now += timedelta(seconds=jump)
        steady.append(watched.is_steady())
    assert steady == [False, True, True, False, False, True]
