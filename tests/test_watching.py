"""Following jobs and loops: every change once, until all have finished; `flask jobs watch` off a terminal."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from commands.jobs import jobs
from commands.loops import loops
from database import database
from errors import NotFound
from files.storage import Storage
from models import Event, Job, Loop
from records.events import Feed
from records.watching import State, Watcher
from repos import JobRepository, LoopRepository
from settings import Settings
from tests.archives import move_only_the_rows

repo = JobRepository()


@pytest.fixture
def feed(ledger: Settings) -> Iterator[Feed]:
    """A feed that somebody watches."""
    opened = Feed(ledger, threading.Event())
    with opened.watched():
        assert opened.wait(-1, 10)
        yield opened
    opened.close()


def seen(watcher: Watcher, number: int) -> list[State]:
    """The next changes, at least so many of them."""
    states: list[State] = []
    for _ in range(100):
        states += watcher.changes(0.2)
        if len(states) >= number:
            return states
    pytest.fail(f"only {states}")


def started(feed: Feed, *ids: str) -> Watcher:
    """A watcher that has read the present states."""
    watcher = Watcher(feed, repo, ids)
    watcher.start()
    watcher.changes(0)
    return watcher


def test_every_change_of_a_named_job_is_seen_once(feed: Feed, job: Job) -> None:
    repo.create(job_id="other", prompt="not watched")
    watcher = started(feed, "job-1")
    repo.update("other", progress=5)
    for progress in (10, 20, 30):
        repo.update("job-1", status="generating_audio", progress=progress)
    repo.update("job-1", status="failed", error="no GPU")
    states = seen(watcher, 4)
    assert [state.progress for state in states] == [10, 20, 30, 30] and watcher.is_over()
    assert states[-1] == State("job-1", "failed", 30, None, "no GPU")


def test_a_job_that_is_deleted_is_over(feed: Feed, job: Job) -> None:
    watcher = started(feed, "job-1")
    repo.delete("job-1")
    assert [state.status for state in seen(watcher, 1)] == ["deleted"] and watcher.is_over()


def test_a_job_that_goes_into_an_archive_keeps_its_status(feed: Feed, job: Job, ledger: Settings) -> None:
    watcher = started(feed, "job-1")
    repo.update("job-1", status="completed")
    move_only_the_rows(Storage(ledger), "job-1")
    assert seen(watcher, 1)[-1].status == "completed" and watcher.is_over()
    assert watcher.changes(0.2) == [] and watcher.states["job-1"].status == "completed"


def test_without_names_every_running_job_is_followed(feed: Feed, job: Job) -> None:
    watcher = started(feed)
    repo.create(job_id="pending", prompt="not running")
    for status in ("exporting", "completed"):
        repo.update("job-1", status=status)
    assert [(state.record_id, state.status) for state in seen(watcher, 2)] == [
        ("job-1", "exporting"),
        ("job-1", "completed"),
    ]
    assert watcher.states == {} and not watcher.is_over()


def test_changes_whose_events_were_deleted_are_read_from_the_records(feed: Feed, job: Job) -> None:
    watcher = started(feed, "job-1")
    with database.atomic():
        repo.update("job-1", status="completed")
        Event.delete().execute()
    watcher._feed._buffer_start = 10**9  # as if another process had pruned what this one has not read
    assert [state.status for state in seen(watcher, 1)] == ["completed"]


def test_a_name_that_does_not_exist_is_refused(feed: Feed, job: Job) -> None:
    with pytest.raises(NotFound, match="There is no job .nobody."):
        Watcher(feed, repo, ["job-1", "nobody"]).start()


def test_loops_are_followed_as_jobs_are(feed: Feed, loop: Loop) -> None:
    watcher = Watcher(feed, LoopRepository(), ["loop-1"])
    watcher.start()
    LoopRepository().update("loop-1", status="COMPLETED")
    assert seen(watcher, 1)[-1] == State("loop-1", "COMPLETED", 100, None, None) and watcher.is_over()


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("cancelled", 1)])
def test_watching_what_has_ended_ends_at_once(ledger: Any, job: Job, status: str, code: int) -> None:
    repo.update("job-1", status=status)
    result = CliRunner().invoke(jobs, ["watch", "job-1"])
    assert result.exit_code == code and result.stdout.startswith(f"job-1\t{status}\t")


@pytest.mark.parametrize("record_id", ["nobody", "\udcff"])
def test_watching_nobody_is_refused(ledger: Any, record_id: str) -> None:
    result = CliRunner().invoke(loops, ["watch", record_id])
    assert result.exit_code == 1 and "There is no loop" in result.output
