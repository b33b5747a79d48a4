"""The end of an attempt and the next claim, in one transaction."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from peewee import IntegrityError, OperationalError

from database import database, is_postgresql
from database.damage import Damaged
from errors import LeaseLost
from files.storage import Storage
from models import Event, Job, Track
from repos import JobRepository
from settings import Settings
from studio import songs
from studio.worker import JobWorker
from tests.conftest import ROOT, clean_environment, on_sqlite

jobs = JobRepository()
SYNTH = {"prompt": "rain", "job_type": "synth", "metadata": {"duration": 2}}


@pytest.fixture
def token(ledger: Settings) -> str:
    """The lease of job-1; job-2 is pending."""
    for job_id in ("job-1", "job-2"):
        jobs.create(job_id=job_id, **SYNTH)
    return str(jobs.claim("w").lease_token)


def complete(token: str) -> Callable[[], Any]:
    """A call that completes job-1 with one track."""
    return lambda: jobs.complete("job-1", token, [{"track_id": "track-1", "duration": 2}])


def test_an_end_and_the_next_claim_are_one_transaction(token: str) -> None:
    begun: list[str] = []
    database.query_hooks.append(lambda event: begun.append(event.sql))
    ended, claimed = jobs.end_and_claim(complete(token), lambda: jobs.claim("w"))
    database.query_hooks.pop()
    assert (ended.status, claimed.job_id, claimed.status) == ("completed", "job-2", "loading_model")
    assert [ended.__data__, claimed.__data__] == [jobs.get_by_id(job.job_id).__data__ for job in (ended, claimed)]
    reads = [sql for sql in begun if sql.startswith("SELECT")]
    assert len(reads) == is_postgresql() and all(sql.endswith("FOR NO KEY UPDATE") for sql in reads), reads


def test_the_sql_of_an_end_and_a_claim_is_built_once(token: str) -> None:
    run: list[str] = []
    database.query_hooks.append(lambda event: run.append(event.sql))
    _, claimed = jobs.end_and_claim(
        lambda: jobs.update("job-1", lease_token=token, status="completed"), partial(jobs.claim, "w")
    )
    jobs.create(**SYNTH)
    jobs.end_and_claim(
        lambda: jobs.update("job-2", lease_token=claimed.lease_token, status="completed"), partial(jobs.claim, "w")
    )
    database.query_hooks.pop()
    updates = [sql for sql in run if sql.startswith("UPDATE")]
    assert len(updates) == 4 and len(set(map(id, updates))) == 2


def test_completed_is_the_last_event_of_the_job(token: str) -> None:
    jobs.end_and_claim(complete(token), lambda: jobs.claim("w"))
    events = Event.select().order_by(Event.event_id.desc()).limit(3)
    assert [(event.entity_id, event.data.get("status")) for event in events] == [
        ("job-2", "loading_model"),
        ("job-1", "completed"),
        ("track-1", None),
    ]


def test_a_refused_end_claims_nothing(token: str) -> None:
    with pytest.raises(LeaseLost):
        jobs.end_and_claim(complete("another"), lambda: jobs.claim("w"))
    assert (jobs.get_by_id("job-2").status, Track.select().count()) == ("pending", 0)


def test_a_failed_claim_leaves_the_end_unrecorded(token: str) -> None:
    with pytest.raises(ZeroDivisionError):
        jobs.end_and_claim(complete(token), lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    assert (jobs.get_by_id("job-1").status, Track.select().count()) == ("loading_model", 0)


def test_the_end_of_a_deleted_job_claims_nothing(token: str) -> None:
    jobs.delete("job-1")
    assert jobs.end_and_claim(complete(token), lambda: jobs.claim("w")) == (None, None)
    assert jobs.get_by_id("job-2").status == "pending"


KILLED = """
import os, sys
from repos import JobRepository
jobs, commit = JobRepository(), sys.argv[2] == "after"
end = lambda: jobs.complete("job-1", sys.argv[1], [{"duration": 2}])
jobs.end_and_claim(end, lambda: jobs.claim("killed") if commit else os._exit(9))
os._exit(9)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_loses_nothing_and_does_nothing_twice(ledger: Settings, token: str, moment: str) -> None:
    env = clean_environment(DATABASE_URL=ledger.database_url)
    ended = subprocess.run([sys.executable, "-c", KILLED, token, moment], cwd=ROOT, env=env, timeout=60)
    assert ended.returncode == 9
    Job.update(lease_expires_at=1).where(Job.lease_token.is_null(False)).execute()
    requeued = [job.job_id for job in jobs.requeue_expired()]
    assert requeued == {"before": ["job-1"], "after": ["job-2"]}[moment]
    done = {"before": ("pending", 0), "after": ("completed", 1)}[moment]
    assert (jobs.get_by_id("job-1").status, Track.select().count()) == done


# --- the worker


@pytest.fixture
def worker(ledger: Settings) -> JobWorker:
    """A worker with two pending jobs."""
    for job_id in ("job-1", "job-2"):
        jobs.create(job_id=job_id, **SYNTH)
    return JobWorker(ledger)


def statuses() -> list[str]:
    """The statuses of both jobs."""
    return [jobs.get_by_id(job_id).status for job_id in ("job-1", "job-2")]


@on_sqlite
def test_a_worker_that_completes_a_job_holds_the_next(worker: JobWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker.tick(0) and statuses() == ["completed", "loading_model"]
    monkeypatch.setattr(worker, "look", lambda now: pytest.fail("it has a job"))
    assert worker.tick(0) and statuses() == ["completed", "completed"] and worker.claimed is None
    assert jobs.get_by_id("job-2").attempts == 1


@on_sqlite
def test_a_worker_that_stops_puts_back_what_it_holds(worker: JobWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    tick = worker.tick
    monkeypatch.setattr(worker, "tick", lambda now: (tick(now), worker.shutdown.set()))
    worker.run()
    assert statuses() == ["completed", "pending"] and jobs.get_by_id("job-2").attempts == 0


@on_sqlite
def test_a_worker_holds_no_job_while_the_disk_is_full(worker: JobWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([False, True])
    monkeypatch.setattr(Storage, "is_full", lambda _: next(looks))
    assert worker.tick(0) and statuses() == ["completed", "pending"] and worker.claimed is None


@on_sqlite
def test_a_worker_that_is_stopping_holds_no_job(worker: JobWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = songs.publish
    monkeypatch.setattr(songs, "publish", lambda *folders: (publish(*folders), worker.shutdown.set()))
    assert worker.tick(0) and statuses() == ["completed", "pending"] and worker.claimed is None


@on_sqlite
@pytest.mark.parametrize("error", [IntegrityError("the row breaks a rule"), Damaged("the job that is next")])
def test_a_next_job_that_the_database_refuses_costs_no_result(
    worker: JobWorker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    worker.claimed = worker.look(0)

    def refused(*_: Any) -> None:
        raise error

    monkeypatch.setattr(worker, "claim", refused)
    assert worker.tick(0) and statuses() == ["completed", "pending"]


def lose_the_answer(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The next call of this method is committed, and its answer is lost."""
    act = getattr(JobRepository, method)

    def unanswered(*arguments: Any) -> None:
        monkeypatch.undo()
        act(*arguments)
        raise OperationalError("the connection dropped before the answer")

    monkeypatch.setattr(JobRepository, method, unanswered)


def test_a_next_job_whose_claim_was_not_answered_is_claimed_again(
    worker: JobWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(monkeypatch, "end_and_claim")
    assert worker.tick(0) and statuses() == ["completed", "loading_model"] and worker.claimed is None
    assert worker.tick(0) and statuses() == ["completed", "completed"]
    assert jobs.get_by_id("job-2").attempts == 1 and worker.unanswered is None


def test_a_claim_that_was_not_answered_is_put_back(worker: JobWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_the_answer(monkeypatch, "claim_of")
    with pytest.raises(OperationalError):
        worker.tick(0)
    assert statuses() == ["loading_model", "pending"]
    worker.put_back()
    assert statuses() == ["pending", "pending"] and jobs.get_by_id("job-1").attempts == 0
    assert jobs.release_token("no-token") is None and worker.unanswered is None
