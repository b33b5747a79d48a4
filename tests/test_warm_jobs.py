"""Jobs through warm generators and on shared GPUs, with real workers."""

import json
import random
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from models import Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.gpu import GpuLock, lock_folder
from studio.worker import JobWorker
from tests.conftest import ROOT, thorough, wait_for
from tests.sounds import wav_bytes
from tests.workers import running_in, stored, worker_process

jobs, tracks = JobRepository(), TrackRepository()
pytestmark = pytest.mark.usefixtures("own_locks")
SERVE = [sys.executable, str(ROOT / "tests" / "standins" / "serve.py")]
LOAD, MAKE = 60, 5  # seconds of the generator that the stand-in stands for
# A warm generator that makes all takes of a request at once.
BATCH = """
import json, shutil, sys
for line in sys.stdin:
    order = json.loads(line)
    for number in range(order["takes"]):
        shutil.copy("song.wav", f"{order['output_dir']}/{number}.wav")
    with open("asked", "a") as asked:
        asked.write(json.dumps([order["seed"], order["take"], order["takes"]]) + "\\n")
    print(json.dumps({"id": order["id"], "done": True}), flush=True)
"""
# A generator that notes when it runs, and takes a moment.
NOTED = """
import json, os, pathlib, shutil, sys, time
began = time.monotonic()
time.sleep(0.2)
shutil.copy(sys.argv[2], sys.argv[1])
with open("runs", "a") as runs:
    runs.write(json.dumps([sys.argv[3], began, time.monotonic()]) + "\\n")
"""


@pytest.fixture
def kind() -> str:
    """SQLite: what a worker does between two statements has nothing to do with the database."""
    return "sqlite"


@pytest.fixture
def word() -> str:
    """The word of a GPU that no other test uses."""
    return f"test-{random.getrandbits(64)}"


def settings_with(ledger: Settings, folder: Path, recipes: dict[str, dict[str, Any]]) -> Settings:
    """Settings whose GENERATORS has these recipes, all with this folder as cwd."""
    lines = []
    for name, recipe in recipes.items():
        lines += [
            f"[{name}]",
            *(f"{key} = {json.dumps(value)}" for key, value in {"cwd": str(folder), **recipe}.items()),
        ]
    (folder / "generators.toml").write_text("\n".join(lines))
    return ledger.model_copy(update={"generators": folder / "generators.toml", "lease_seconds": 2.0})


def warm(folder: Path, **more: Any) -> dict[str, Any]:
    """The recipe of the stand-in as a warm process."""
    return {"serve": [*SERVE, str(folder)], "version": ["echo", "1.0"], **more}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the stand-in notes what it does."""
    monkeypatch.setenv("SERVE_RECORD", str(tmp_path / "record"))
    return tmp_path / "record"


def seconds_of(record: Path) -> int:
    """What the real generator would have taken for what the stand-in did."""
    lines = record.read_text().splitlines()
    return LOAD * lines.count("loaded") + MAKE * sum(line.startswith("asked") for line in lines)


def test_ten_jobs_load_a_warm_generator_once(ledger: Settings, tmp_path: Path, record: Path) -> None:
    made = [jobs.create(prompt=f"song {number}", job_type="own") for number in range(10)]
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": warm(tmp_path)}))
    assert all(worker.tick(0) for _ in made) and not worker.tick(0)
    worker.warm.close()
    assert {jobs.get_by_id(job.job_id).status for job in made} == {"completed"}
    assert seconds_of(record) <= 115


def test_ten_jobs_load_a_cold_generator_ten_times(ledger: Settings, tmp_path: Path, record: Path) -> None:
    """The same worker with a recipe that stops its process at once."""
    made = [jobs.create(prompt=f"song {number}", job_type="own") for number in range(10)]
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": warm(tmp_path, idle_seconds=0)}))
    for _ in made:
        assert worker.tick(0)
        worker.warm.tend(time.monotonic())
    assert seconds_of(record) == 650


def test_a_warm_process_that_dies_costs_one_attempt(ledger: Settings, tmp_path: Path, record: Path) -> None:
    made = [jobs.create(prompt=prompt, job_type="own") for prompt in ("folk", "die", "pop")]
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": warm(tmp_path)}))
    assert all(worker.tick(0) for _ in made)
    worker.warm.close()
    ended = [jobs.get_by_id(job.job_id) for job in made]
    assert [job.status for job in ended] == ["completed", "failed", "completed"]
    assert "CUDA error: an illegal memory access" in ended[1].error
    assert record.read_text().splitlines().count("loaded") == 2


def test_a_refusal_of_a_warm_process_is_the_error_and_the_process_stays(
    ledger: Settings, tmp_path: Path, record: Path
) -> None:
    made = [jobs.create(prompt=prompt, job_type="own") for prompt in ("refuse", "pop")]
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": warm(tmp_path)}))
    assert all(worker.tick(0) for _ in made)
    worker.warm.close()
    assert jobs.get_by_id(made[0].job_id).error == "the lyrics have no [verse]"
    assert record.read_text().splitlines().count("loaded") == 1


def test_cancel_reaches_a_warm_process(ledger: Settings, tmp_path: Path, record: Path) -> None:
    job = jobs.create(prompt="hang", job_type="own")
    process = worker_process(settings_with(ledger, tmp_path, {"own": warm(tmp_path)}), GENERATORS=generators(tmp_path))
    try:
        wait_for(lambda: "asked hang" in (record.read_text() if record.exists() else ""), 30)
        jobs.cancel(job.job_id)
        wait_for(lambda: jobs.get_by_id(job.job_id).status == "cancelled", 30)
        wait_for(lambda: not [words for words in running_in(tmp_path) if SERVE[1] in words], 30)
    finally:
        process.kill()
        process.wait()


def generators(folder: Path) -> str:
    """The value of GENERATORS for a worker process."""
    return str(folder / "generators.toml")


def noted(name: str, **more: Any) -> dict[str, Any]:
    """The recipe of the generator that notes when it runs."""
    return {"command": [sys.executable, "noted.py", "{output_dir}", "song.wav", name], **more}


def test_jobs_of_one_gpu_never_run_at_once_and_others_do(ledger: Settings, tmp_path: Path, word: str) -> None:
    (tmp_path / "noted.py").write_text(NOTED)
    (tmp_path / "song.wav").write_bytes(wav_bytes())
    on_gpu = {name: noted(name, gpu=word) for name in ("a", "b", "c")}
    settings = settings_with(ledger, tmp_path, {**on_gpu, "d": noted("d", gpu=f"{word}-2")})
    made = [jobs.create(prompt="x", job_type=name) for _ in range(thorough(10, 3)) for name in "abcdd"]
    workers = [worker_process(settings, GENERATORS=generators(tmp_path)) for _ in range(2)]
    try:
        wait_for(lambda: all(jobs.get_by_id(job.job_id).status == "completed" for job in made), 120)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait(10)
    runs = [json.loads(line) for line in (tmp_path / "runs").read_text().splitlines()]
    shared = sorted((began, ended) for name, began, ended in runs if name != "d")
    assert all(ended <= began for (_, ended), (began, _) in zip(shared, shared[1:], strict=False))
    assert runs_together(Job.job_type == "d", Job.job_type != "d")


def runs_together(some: Any, others: Any) -> bool:
    """True if a job of some was made while one of the others was."""
    spans = [[(job.started_at, job.finished_at) for job in Job.select().where(those)] for those in (some, others)]
    return any(began < end and start < ended for began, ended in spans[0] for start, end in spans[1])


def test_a_warm_generator_makes_several_takes_at_once(ledger: Settings, tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text(BATCH)
    (tmp_path / "song.wav").write_bytes(wav_bytes())
    job = jobs.create(prompt="x", job_type="own", takes=3, seed=7)
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": {"serve": [sys.executable, "batch.py"], "batch": True}}))
    assert worker.tick(0)
    worker.warm.close()
    assert jobs.get_by_id(job.job_id).status == "completed"
    assert [(track.take, track.seed) for track in tracks.get_by_job_id(job.job_id)] == [(1, 7), (2, 8), (3, 9)]
    assert (tmp_path / "asked").read_text() == "[7, 1, 3]\n"


def test_a_request_for_one_of_several_takes_says_one(ledger: Settings, tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text(BATCH)
    (tmp_path / "song.wav").write_bytes(wav_bytes())
    jobs.create(prompt="x", job_type="own", takes=2, seed=7)
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": {"serve": [sys.executable, "batch.py"]}}))
    assert worker.tick(0)
    worker.warm.close()
    assert (tmp_path / "asked").read_text() == "[7, 1, 1]\n[8, 2, 1]\n"


@pytest.mark.usefixtures("own_locks")
def test_locks_that_cannot_be_used_stop_no_other_job(
    ledger: Settings, tmp_path: Path, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = [jobs.create(prompt="x", job_type=name) for name in ("needs", "other", "needs", "other")]
    lock_folder().chmod(0o755)
    (tmp_path / "noted.py").write_text(NOTED)
    (tmp_path / "song.wav").write_bytes(wav_bytes())
    recipes = {"needs": noted("needs", gpu=word), "other": noted("other")}
    worker = JobWorker(settings_with(ledger, tmp_path, recipes))
    ticks = [worker.tick(time.monotonic()) for _ in range(4)]
    assert ticks == [True, True, False, False]
    assert [jobs.get_by_id(job.job_id).status for job in made] == ["pending", "completed"] * 2
    assert caplog.text.count("makes no job that needs a GPU: ") == 1


@pytest.mark.usefixtures("own_locks")
def test_a_job_is_whole_if_the_next_one_cannot_be_claimed(
    ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [jobs.create(prompt="x", job_type="own") for _ in range(2)]
    worker = JobWorker(settings_with(ledger, tmp_path, {"own": warm(tmp_path)}))
    lease = worker.lease
    leases = iter([lease, cannot_lease, lease, lease])
    monkeypatch.setattr(worker, "lease", lambda token: next(leases)(token))
    assert worker.tick(0) and jobs.get_by_id(made[0].job_id).status == "completed"
    assert worker.tick(0) and jobs.get_by_id(made[1].job_id).status == "completed"
    worker.warm.close()


def cannot_lease(token: str) -> Any:
    """What happens if a folder of a claim cannot be used."""
    raise PermissionError("no folder of locks")


@pytest.mark.usefixtures("own_locks")
def test_a_worker_with_a_job_asks_for_no_gpu(ledger: Settings, tmp_path: Path, word: str) -> None:
    owner = GpuLock(word)
    assert owner.acquire()
    waiting = jobs.create(prompt="x", job_type="needs")
    worker = JobWorker(settings_with(ledger, tmp_path, {"needs": noted("needs", gpu=word), "own": warm(tmp_path)}))
    assert not worker.tick(time.monotonic()) and owner.is_wanted()
    jobs.create(prompt="x", job_type="own")
    assert worker.tick(time.monotonic()) and not owner.is_wanted()
    assert jobs.get_by_id(waiting.job_id).status == "pending"
    worker.warm.close()
    owner.release()


class Keeper:
    """Keeps a worker running: starts another one if it dies, and tries failed jobs again."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.worker = self.start()

    def start(self) -> Any:
        """A new worker."""
        return worker_process(self.settings, GENERATORS=generators(self.folder))

    def kill_one(self) -> None:
        """Kill the worker, or one of the processes below it."""
        worker = psutil.Process(self.worker.pid)
        with suppress(psutil.NoSuchProcess):
            random.choice([worker, *worker.children(recursive=True)]).kill()

    def tend(self) -> None:
        """Do what is needed for the jobs to go on."""
        if self.worker.poll() is not None:
            self.worker = self.start()
        for job in Job.select().where(Job.status == "failed"):
            jobs.retry(job.job_id)

    def stop(self) -> None:
        """Stop the worker."""
        self.worker.terminate()
        self.worker.wait(20)

    def has_made(self, number: int) -> bool:
        """True if there are so many tracks."""
        self.tend()
        return Track.select().count() >= number


@pytest.mark.timeout(900)
def test_takes_survive_random_kills(
    ledger: Settings, tmp_path: Path, word: str, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVE_MAKE", "0.05")
    settings = settings_with(ledger, tmp_path, {"own": warm(tmp_path, gpu=word)})
    made = [jobs.create(prompt="x", job_type="own", takes=8, max_attempts=1000) for _ in range(thorough(8, 2))]
    keeper, total = Keeper(settings, tmp_path), 8 * len(made)
    for number in range(thorough(50, 6)):
        wait_for(partial(keeper.has_made, total * number // thorough(50, 6)), 60)
        keeper.kill_one()
    wait_for(lambda: keeper.has_made(total) and is_done(made), 120)
    keeper.stop()
    for job in made:
        assert sorted(track.take for track in tracks.get_by_job_id(job.job_id)) == list(range(1, 9))
    named = {path for track in Track.select() for path in (track.file_path_wav, track.file_path_mp3)}
    assert {path for path in stored(settings) if path.endswith((".wav", ".mp3"))} == named
    wait_for(lambda: not [words for words in running_in(tmp_path) if SERVE[1] in words], 30)
    lock = GpuLock(word)
    assert lock.acquire()
    lock.release()


def is_done(made: list[Job]) -> bool:
    """True if all these jobs are completed."""
    return all(jobs.get_by_id(job.job_id).status == "completed" for job in made)
