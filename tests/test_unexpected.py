"""Errors that nobody expects end one attempt with a reason, and the worker goes on with the next piece of work."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from peewee import InterfaceError, OperationalError, ProgrammingError

from database import AWAY, release_connection
from files.storage import Storage
from models import Job, Work
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from studio.attempt import Attempt, Lease
from studio.loops import LoopAttempt
from studio.songs import SongAttempt
from studio.worker import JobWorker, LoopWorker, Worker
from tests.conftest import ROOT, on_sqlite, wait_for

jobs, loops, tracks = JobRepository(), LoopRepository(), TrackRepository()
SONG = {"prompt": "folk", "job_type": "synth", "metadata": {"duration": 12}}
WORKERS: dict[str, tuple[type[Worker], type[Attempt]]] = {
    "job": (JobWorker, SongAttempt),
    "loop": (LoopWorker, LoopAttempt),
}
on_workers = pytest.mark.parametrize("entity", WORKERS)
pytestmark = pytest.mark.usefixtures("ledger")


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A recording that a loop can be cut from."""
    folder = tmp_path_factory.mktemp("song")
    command = [sys.executable, "-m", "studio.synth", "--ref-prompt", "pop", "--audio-length", "12", "--seed", "1"]
    subprocess.run([*command, "--output-dir", str(folder)], cwd=ROOT, check=True)
    return next(folder.glob("*.wav")).read_bytes()


def prepare(entity: str, settings: Settings, song: bytes, number: int = 0) -> str:
    """A pending job, or a pending loop of a track with a recording; its id."""
    if entity == "job":
        return str(jobs.create(job_id=f"work-{number}", **SONG).job_id)
    settings.storage_dir.mkdir(exist_ok=True)
    (settings.storage_dir / "song.wav").write_bytes(song)
    jobs.create_once(job_id="parent", prompt="p", status="completed")
    tracks.create_once(track_id="track", job_id="parent", file_path_wav="song.wav")
    return str(loops.create(loop_id=f"work-{number}", track_id="track", duration=15, format="WAV").loop_id)


def failing(times: int, error: Exception, act: Any) -> Any:
    """The same function, but so many calls raise the error."""
    errors = [error] * times

    def call(*args: Any, **more: Any) -> Any:
        if errors:
            raise errors.pop()
        return act(*args, **more)

    return call


@on_sqlite
def test_a_prompt_with_nul_fails_the_job_and_the_worker_makes_the_next(ledger: Settings) -> None:
    Job.create(job_id="nul", prompt="a\0b", job_type="synth")
    jobs.create(job_id="next", **SONG)
    worker = JobWorker(ledger)
    assert worker.tick(0) and worker.tick(1)
    assert jobs.get_by_id("next").status == "completed"
    job = jobs.get_by_id("nul")
    assert (job.status, job.lease_token) == ("failed", None) and "no NUL" in job.error


@on_workers
@pytest.mark.parametrize(
    "error", [KeyError("tracks"), ValueError("a\0b"), RuntimeError("x" * 9000), ProgrammingError("no column")]
)
def test_an_unexpected_error_fails_that_attempt_and_the_worker_goes_on(
    ledger: Settings, song: bytes, entity: str, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    repo, (worker_type, attempt_type) = {"job": jobs, "loop": loops}[entity], WORKERS[entity]
    for number in range(2):
        prepare(entity, ledger, song, number)
    monkeypatch.setattr(attempt_type, "make", failing(1, error, attempt_type.make))
    worker = worker_type(ledger)
    assert worker.tick(0)
    first: Any = repo.get_by_id("work-0")
    assert (first.status, first.lease_token) == (repo.statuses.failed, None)
    assert f"an error that it does not expect: {type(error).__name__}: " in first.error and len(first.error) <= 4000
    assert any(record.exc_info for record in caplog.records)
    assert worker.tick(1) and repo.get_by_id("work-1").status == repo.statuses.completed
    assert list(Storage(ledger).root.glob(".parts/*")) == []


@on_workers
@pytest.mark.parametrize("error", [OperationalError("the server is away"), InterfaceError("connection closed")])
def test_a_database_that_is_away_for_a_moment_costs_no_attempt(
    ledger: Settings, song: bytes, entity: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, (worker_type, attempt_type) = {"job": jobs, "loop": loops}[entity], WORKERS[entity]
    prepare(entity, ledger, song)
    monkeypatch.setattr(attempt_type, "make", failing(1, error, attempt_type.make))
    monkeypatch.setattr(type(repo), "release", failing(2, error, type(repo).release))
    worker = worker_type(ledger)
    with pytest.raises(AWAY):
        worker.tick(0)
    back: Any = repo.get_by_id("work-0")
    assert (back.status, back.attempts, back.error) == (repo.statuses.pending, 0, None)
    assert worker.tick(1)
    done: Any = repo.get_by_id("work-0")
    assert (done.status, done.attempts) == (repo.statuses.completed, 1)


def test_a_loop_worker_outlives_a_database_that_is_away_while_it_reads_the_track(
    ledger: Settings, song: bytes, monkeypatch: pytest.MonkeyPatch, running: Any
) -> None:
    prepare("loop", ledger, song)
    away = failing(1, OperationalError("the server is away"), TrackRepository.get_by_id)
    monkeypatch.setattr(TrackRepository, "get_by_id", away)
    thread = running(LoopWorker(ledger))
    wait_for(lambda: loops.get_by_id("work-0").status == "COMPLETED", 60)
    assert thread.is_alive() and loops.get_by_id("work-0").attempts == 1


@on_workers
def test_a_worker_outlives_a_database_that_is_away_when_it_claims(
    ledger: Settings, song: bytes, entity: str, monkeypatch: pytest.MonkeyPatch, running: Any
) -> None:
    repo, (worker_type, _) = {"job": jobs, "loop": loops}[entity], WORKERS[entity]
    monkeypatch.setattr(type(repo), "claim", failing(2, OperationalError("away"), type(repo).claim))
    prepare(entity, ledger, song)
    thread = running(worker_type(ledger))
    wait_for(lambda: repo.get_by_id("work-0").status == repo.statuses.completed, 60)
    assert thread.is_alive()


@pytest.fixture
def running() -> Iterator[Any]:
    """Runs workers in threads, and stops them afterwards."""
    started: list[tuple[Worker, threading.Thread]] = []

    def run(worker: Worker) -> threading.Thread:
        thread = threading.Thread(target=worker.run)
        thread.start()
        started.append((worker, thread))
        return thread

    yield run
    for worker, thread in started:
        worker.shutdown.set()
        thread.join(20)


@pytest.mark.parametrize("error", [OSError("read-only"), RuntimeError("a mistake"), OperationalError("away")])
def test_a_lease_is_renewed_again_after_an_error(ledger: Settings, error: Exception) -> None:
    jobs.create(job_id="job", prompt="p")
    claimed: Work = jobs.claim("w", 0.5)
    renewals = []
    on_renewal = failing(1, error, lambda: renewals.append(1))
    with Lease(jobs, claimed, threading.Event(), on_renewal) as lease:
        wait_for(lambda: len(renewals) > 1, 20)
        assert lease.why is None
    assert jobs.get_by_id("job").lease_expires_at > claimed.lease_expires_at
    release_connection()
