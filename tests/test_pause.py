"""The paused queue: nobody claims a job, running ones are finished, and all of it is kept."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from database import init_database, release
from models import Event, Job, Track
from repos import JobRepository, LoopRepository, is_paused, set_paused
from settings import Settings
from studio.worker import JobWorker
from tests.conftest import wait_for
from tests.test_commands import flask
from tests.workers import worker_process

jobs, loops = JobRepository(), LoopRepository()


def claims() -> list[Any]:
    """What every kind of claim gets."""
    return [jobs.claim("w"), jobs.claim_of(["diffrhythm"], "w"), jobs.claim_of(["diffrhythm", "synth"], "w")]


@pytest.mark.usefixtures("ledger")
def test_nobody_claims_a_job_while_the_queue_is_paused(job: Job) -> None:
    set_paused(True)
    assert is_paused() and claims() == [None] * 3 and jobs.get_by_id("job-1").__data__ == job.__data__
    set_paused(False)
    claimed = jobs.claim("w")
    assert not is_paused() and claimed is not None and claimed.job_id == "job-1"


@pytest.mark.usefixtures("ledger")
def test_a_paused_queue_is_no_reason_to_write(job: Job, statements: list[str]) -> None:
    set_paused(True)
    statements.clear()
    claims()
    assert len(statements) == 3 and all("paused" in sql for sql in statements)


@pytest.mark.usefixtures("ledger")
def test_a_claim_needs_no_more_statements_because_of_the_pause(job: Job, statements: list[str]) -> None:
    jobs.claim("w")
    assert len([sql for sql in statements if "job" in sql]) <= 2


def test_what_runs_is_finished_and_its_worker_claims_nothing(studio: Settings, job: Job) -> None:
    for job_id in ("job-2", "job-3"):
        jobs.create(job_id=job_id, prompt="rain")
    worker = JobWorker(studio)
    assert worker.tick(0) and worker.claimed.job_id == "job-2"  # the end of job-1 has claimed it
    set_paused(True)
    assert worker.tick(1) and worker.claimed is None and not worker.tick(2)
    assert [jobs.get_by_id(job_id).status for job_id in ("job-1", "job-2", "job-3")] == [
        "completed",
        "completed",
        "pending",
    ]


@pytest.mark.usefixtures("ledger")
def test_loops_are_not_paused(track: Track) -> None:
    loops.create(loop_id="loop-1", track_id=track.track_id, duration=30)
    set_paused(True)
    claimed = loops.claim("w")
    assert claimed is not None and claimed.loop_id == "loop-1"


def test_the_pause_is_kept_and_each_change_is_one_event(ledger: Settings) -> None:
    for paused in (True, True, False, True):
        set_paused(paused)
    release()
    init_database(ledger)
    events = [(event.entity, event.entity_id, event.change, event.data["paused"]) for event in Event.select()]
    assert is_paused()
    assert events == [("queue", "jobs", "updated", paused) for paused in (True, False, True)]


def test_rest_pauses_the_queue(client: FlaskClient, job: Job) -> None:
    assert client.get("/api/queue").json["paused"] is False
    for _ in range(2):
        assert client.put("/api/queue", json={"paused": True}).json["paused"] is True
    assert client.post("/api/jobs/claim", json={"worker": "w"}).status_code == 204
    assert client.put("/api/queue", json={"paused": False}).json["paused"] is False
    assert client.post("/api/jobs/claim", json={"worker": "w"}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"paused": None}, {"paused": "yes"}, {"paused": True, "jobs": 1}, []])
def test_rest_refuses_another_state(client: FlaskClient, kind: str, body: Any) -> None:
    assert client.put("/api/queue", json=body).status_code == 422 and not is_paused()


def test_workers_in_processes_of_their_own_obey(ledger: Settings) -> None:
    set_paused(True)
    ledger.storage_dir.mkdir()
    jobs.create(job_id="job-1", prompt="rain")
    workers = [worker_process(ledger) for _ in range(2)]
    try:
        log = ledger.storage_dir.parent / "worker.log"
        wait_for(lambda: log.exists() and log.read_text().count("makes jobs of type") == 2, 30)
        assert jobs.get_by_id("job-1").attempts == 0
        set_paused(False)
        wait_for(lambda: jobs.get_by_id("job-1").status == "completed", 30)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(10)


def test_the_terminal_pauses_the_queue(ledger: Settings, tmp_path: Path) -> None:
    for command, paused, words in (("pause", True, "The queue is paused."), ("resume", False, "The queue goes on.")):
        answer = flask(tmp_path, "jobs", command, DATABASE_URL=ledger.database_url)
        assert answer.returncode == 0 and answer.stdout.startswith(words), answer.stderr
        assert is_paused() is paused
