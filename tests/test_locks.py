"""Transactions of PostgreSQL that change a job and its tracks at the same moment: none of them is a deadlock."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest

from database import database, release_connection
from errors import Conflict, WrongStatus
from maintenance.checks import database as checks
from models import Job, Track
from records import discards
from records.finding import TrackQuery
from repos import JobRepository, Page, TrackRepository, TrackSearch
from tests.conftest import on_postgresql, thorough

jobs, tracks = JobRepository(), TrackRepository()
pytestmark = [pytest.mark.usefixtures("ledger"), on_postgresql]
SECONDS = thorough(10, 2)
NUMBERS = range(4)


def together(*calls: Callable[[], Any]) -> None:
    """Run these calls in a thread each, again and again. Raises the first error."""
    end, failed = time.monotonic() + SECONDS, threading.Event()

    def run(call: Callable[[], Any]) -> None:
        try:
            while time.monotonic() < end and not failed.is_set():
                call()
        except BaseException:
            failed.set()
            raise
        finally:
            release_connection()

    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(run, call) for call in calls]:
            done.result()


def ids(text: str) -> list[str]:
    """The ids of the tracks that a search finds."""
    return sorted(track.track_id for track in TrackSearch(TrackQuery(text)).page(Page()))


@pytest.fixture
def takes(job: Job) -> Job:
    """A job with a few tracks, of which the first has a star."""
    for number in NUMBERS:
        tracks.create(track_id=f"t{number}", job_id="job-1", starred=number == 0)
    return job


def test_titles_prompts_and_discards_wait_for_one_another(takes: Job) -> None:
    def give_titles() -> None:
        for number in reversed(NUMBERS):
            tracks.update(f"t{number}", title=f"Night {time.monotonic_ns()}")

    def discard() -> None:
        with suppress(WrongStatus, Conflict):
            made = discards.discard_job("job-1")
            assert made is not None and discards.undo(made.discard_id)

    together(
        give_titles,
        give_titles,
        discard,
        lambda: jobs.update("job-1", prompt=f"rain {time.monotonic_ns()}"),
    )
    assert Track.select().count() == len(NUMBERS)
    assert list(checks.incomplete_search(None)) == []  # type: ignore[arg-type]


def test_titles_and_the_deletion_of_a_job_wait_for_one_another(takes: Job) -> None:
    def make_again() -> None:
        jobs.delete("job-1")
        with database.atomic():
            jobs.create(job_id="job-1", prompt="rain")
            for number in NUMBERS:
                tracks.create(track_id=f"t{number}", job_id="job-1")

    titles = [lambda n=number: tracks.update(f"t{n}", title=f"Night {time.monotonic_ns()}") for number in NUMBERS[:2]]
    together(*titles, make_again)
    assert Track.select().count() == len(NUMBERS)


def test_two_transactions_add_a_track_and_then_change_its_job(two: ThreadPoolExecutor, takes: Job) -> None:
    both = Barrier(2)

    def add(progress: int) -> None:
        with database.atomic():
            tracks.create(job_id="job-1")
            both.wait(20)
            jobs.update("job-1", progress=progress)

    for done in [two.submit(add, progress) for progress in (1, 2)]:
        done.result(30)
    assert Track.select().count() == len(NUMBERS) + 2


def wait_for_waiting() -> None:
    """Return when another transaction waits for that of this thread."""
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    end = time.monotonic() + 60
    while database.execute_sql(waiting).fetchone() is None:
        assert time.monotonic() < end


@pytest.mark.parametrize("prompt_first", [True, False])
def test_a_title_and_a_prompt_that_change_at_once_are_both_searched(
    two: ThreadPoolExecutor, takes: Job, prompt_first: bool
) -> None:
    changes: list[Callable[[], Any]] = [
        lambda: jobs.update("job-1", prompt="thunder"),
        lambda: tracks.update("t1", title="Owl"),
    ]
    first, second = changes if prompt_first else reversed(changes)
    with database.atomic():
        first()
        two.submit(second).result(30)
    assert ids("owl thunder") == ["t1"]


def test_an_id_that_is_taken_while_undo_runs_is_named(two: ThreadPoolExecutor, takes: Job) -> None:
    discard = discards.discard_job("job-1")
    assert discard is not None
    with database.atomic():
        tracks.create(track_id="t3", job_id="job-1")
        undone = two.submit(discards.undo, discard.discard_id)
        wait_for_waiting()
    with pytest.raises(Conflict, match="track t3 exists again"):
        undone.result(30)


@pytest.mark.parametrize("track_first", [True, False])
def test_a_prompt_that_changes_while_the_first_track_is_created_is_searched(
    two: ThreadPoolExecutor, job: Job, track_first: bool
) -> None:
    changes: list[Callable[[], Any]] = [
        lambda: tracks.create(track_id="new", job_id="job-1", title="Owl"),
        lambda: jobs.update("job-1", prompt="thunder"),
    ]
    first, second = changes if track_first else reversed(changes)
    with database.atomic():
        first()
        waiting = two.submit(second)
        wait_for_waiting()
    waiting.result(30)
    assert (ids("owl thunder"), ids("owl rain")) == (["new"], [])
