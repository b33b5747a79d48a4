"""What goes wrong while a job is made: the generator, the disk, a cancel, a deletion."""

import errno
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from peewee import OperationalError

from files.storage import Storage
from models import Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.process import Command, run
from studio.worker import JobWorker
from tests.conftest import ROOT, wait_for
from tests.workers import make, named, running_in, stored

jobs, tracks = JobRepository(), TrackRepository()

pytestmark = pytest.mark.usefixtures("nothing_is_left_running")


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: leases are tested on both databases in test_leases.py."""
    return "sqlite"


TROUBLES = [
    ("fail", "ended with code 1: CUDA out of memory"),
    ("chatter", "that was a hundred megabytes"),
    ("nothing", "wrote no audio file"),
    ("empty", "output.wav is empty: it has 0 bytes"),
    ("text", "output.wav is not audio that can be decoded"),
    ("hang", "took longer than 1 seconds"),
    ("stubborn", "took longer than 1 seconds"),
    ("forks", "took longer than 1 seconds"),
]


@pytest.mark.parametrize(("behaviour", "error"), TROUBLES)
def test_a_generator_in_trouble_is_a_failed_job(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, behaviour: str, error: str
) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", behaviour)
    slow = behaviour in ("hang", "stubborn", "forks")
    job = make(studio.model_copy(update={"generator_timeout": 1.0 if slow else 30.0}))
    assert (job.status, job.lease_token) == ("failed", None) and error in job.error
    assert len(job.error) < 4000 and Track.select().count() == 0
    assert stored(studio) == {f"jobs/{job.job_id}/generator.log"}
    assert Storage(studio).log(job.job_id).stat().st_size < 17 * 1024 * 1024


def test_a_folder_that_does_not_exist_is_not_blamed_on_the_program(studio: Settings, tmp_path: Path) -> None:
    command = Command(["python"], tmp_path / "missing", 60)
    process = run(command, tmp_path / "log", lambda: False, lambda line: None)
    assert list(process.last) == [f"cannot enter the folder {tmp_path / 'missing'}: No such file or directory"]
    assert process.code == 127


def test_a_command_that_does_not_exist_is_a_failed_job(studio: Settings) -> None:
    job = make(studio.model_copy(update={"diffrhythm_command": "no-such-program {prompt} {output_dir}"}))
    assert job.status == "failed" and "cannot start no-such-program: No such file" in job.error


def test_a_failed_job_is_retried_from_a_clean_start(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    job = make(studio)
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "")
    jobs.retry(job.job_id)
    assert JobWorker(studio).tick(0)
    again = jobs.get_by_id(job.job_id)
    assert (again.status, again.error, again.attempts) == ("completed", None, 2)
    assert stored(studio) == named(again)


@pytest.mark.parametrize("behaviour", ["hang", "stubborn", "forks"])
def test_a_cancel_ends_the_generator_and_all_its_processes(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, behaviour: str
) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", behaviour)
    job = jobs.create(prompt="p")
    working = threading.Thread(target=lambda: JobWorker(studio).tick(0))
    working.start()
    wait_for(lambda: jobs.get_by_id(job.job_id).progress > 0, 30)
    jobs.cancel(job.job_id)
    wait_for(lambda: not running_in(tmp_path), 30)  # by itself it would run for minutes
    working.join(30)
    ended = jobs.cancel(job.job_id)
    assert (ended.status, Track.select().count(), ended.progress < 100) == ("cancelled", 0, True)
    assert stored(studio) == {f"jobs/{job.job_id}/generator.log"}


def test_a_job_deleted_while_it_runs_leaves_nothing(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "hang")
    job = jobs.create(prompt="p")
    working = threading.Thread(target=lambda: JobWorker(studio).tick(0))
    working.start()
    wait_for(lambda: jobs.get_by_id(job.job_id).progress > 0, 30)
    jobs.delete(job.job_id)
    working.join(30)
    assert not working.is_alive() and Job.select().count() == 0 and stored(studio) == set()


@pytest.mark.parametrize("answers_again", [True, False])
def test_tracks_stay_when_the_answer_to_their_recording_is_lost(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, answers_again: bool
) -> None:
    worker, end_and_claim = JobWorker(studio), JobRepository.end_and_claim

    def away(*_: Any) -> None:
        raise OperationalError("the connection dropped before the answer")

    def committed_but_unheard(*told: Any, **more: Any) -> None:
        end_and_claim(*told, **more)
        monkeypatch.undo()
        if not answers_again:
            monkeypatch.setattr(JobRepository, "end_and_claim", away)
            worker.shutdown.set()
        away()

    monkeypatch.setattr(JobRepository, "end_and_claim", committed_but_unheard)
    job = jobs.create(prompt="folk", job_type="synth", metadata={"duration": 3})
    worker.tick(0)
    job = jobs.get_by_id(job.job_id)
    assert (job.status, stored(studio)) == ("completed", named(job))


def test_a_full_disk_costs_no_job_its_attempt(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    job, looks = jobs.create(prompt="folk"), iter([False, True, True])
    monkeypatch.setattr(Storage, "is_full", lambda _: next(looks))
    with pytest.raises(OSError, match="disk of the storage folder is full"):
        JobWorker(studio).tick(0)
    job = jobs.get_by_id(job.job_id)
    assert (job.status, job.attempts, job.error) == ("pending", 0, None) and "make room" in job.message


def test_a_disk_that_becomes_read_only_costs_no_job_its_attempt(
    studio: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Storage) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    monkeypatch.setattr(Storage, "require_writable", refuse)
    job = jobs.create(prompt="folk")
    with pytest.raises(OSError, match="Read-only"):
        JobWorker(studio).tick(0)
    job = jobs.get_by_id(job.job_id)
    assert (job.status, job.attempts, job.error) == ("pending", 0, None) and "its disk is read-only" in job.message


def test_nothing_is_claimed_while_the_disk_is_full(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.create(prompt="folk")
    monkeypatch.setattr("files.storage.FULL_BYTES", 2**60)
    with pytest.raises(OSError, match="disk of the storage folder is full"):
        JobWorker(studio).tick(0)
    assert jobs.get_by_id(job.job_id).status == "pending"


def test_a_job_that_fills_the_disk_by_itself_fails(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    looks = iter([False, True, False])
    monkeypatch.setattr(Storage, "is_full", lambda _: next(looks))
    job = make(studio)
    assert job.status == "failed" and "more room than the disk has" in job.error


def test_a_worker_that_cannot_write_fails_the_job_and_goes_on(studio: Settings) -> None:
    studio.storage_dir.mkdir(exist_ok=True)
    (studio.storage_dir / "jobs").write_text("a file where a folder should be")
    job = make(studio)
    assert job.status == "failed" and "the worker cannot go on" in job.error


def test_what_a_killed_attempt_left_is_removed_by_the_next(studio: Settings) -> None:
    job = jobs.create(prompt="folk", job_type="synth", metadata={"duration": 3})
    for name in ("0123456789ab", "ba9876543210"):
        folder = Storage(studio).folder("job", job.job_id) / name
        folder.mkdir(parents=True)
        (folder / "song.wav").write_text("left")
    tracks.create(track_id="by-hand", job_id=job.job_id, file_path_wav=f"jobs/{job.job_id}/ba9876543210/song.wav")
    assert JobWorker(studio).tick(0)
    assert "left" in (folder / "song.wav").read_text() and not folder.with_name("0123456789ab").exists()


NESTED = """
import os, signal, threading
from studio.worker import stop_at_signals

class Slow(threading.Event):
    def set(self):
        with self._cond:
            os.kill(os.getpid(), signal.SIGTERM)  # as the parent does just after Ctrl-C
            sum(range(1000))
            self._flag = True

shutdown = Slow()
stop_at_signals(shutdown)
os.kill(os.getpid(), signal.SIGINT)
print(shutdown.is_set())
"""


def test_a_second_stop_signal_during_the_first_does_not_stop_the_worker_for_ever() -> None:
    done = subprocess.run([sys.executable, "-c", NESTED], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.stdout == "True\n"
