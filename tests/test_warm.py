"""The warm generators of a worker: one on a GPU, stopped in time, and handed over to other workers."""

import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio import warm as module
from studio.gpu import GpuLock
from studio.process import Command, Process
from studio.warm import GpuBusy, Warm
from studio.warm_process import GeneratorFailed
from tests.conftest import thorough, wait_for
from tests.warm import make, recipe, records, worker
from tests.workers import running_in

pytestmark = pytest.mark.usefixtures("own_locks", "nothing_is_left_running")


@pytest.fixture
def warm() -> Iterator[Warm]:
    """The warm generators of a worker."""
    made = Warm()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[GpuLock]:
    """The lock of GPU 0 in another worker."""
    made = GpuLock("0")
    yield made
    made.release()
    made.withdraw()


def loads(folder: Path) -> int:
    """How often a model was loaded."""
    return records(folder).count("loaded")


def servers(folder: Path) -> int:
    """How many stand-ins run."""
    return sum("serve.py" in words[1] for words in running_in(folder))


def test_a_process_serves_all_jobs_of_its_recipe(warm: Warm, tmp_path: Path) -> None:
    for _ in range(3):
        assert warm.reserve("0") and make(warm, recipe(tmp_path, gpu="0"))
        warm.leave("0")
    assert (loads(tmp_path), servers(tmp_path)) == (1, 1)


def test_a_process_of_another_recipe_on_the_gpu_is_stopped_first(warm: Warm, tmp_path: Path) -> None:
    for name in ("one", "two", "one"):
        make(warm, recipe(tmp_path, name=name, gpu="0"))
        assert servers(tmp_path) == 1
    make(warm, recipe(tmp_path, name="one", gpu="0", environment={"CUDA_VISIBLE_DEVICES": "1"}))
    assert (loads(tmp_path), servers(tmp_path)) == (4, 1)


def test_recipes_on_other_gpus_or_on_none_stay_loaded(warm: Warm, tmp_path: Path) -> None:
    recipes = [recipe(tmp_path, name=name, gpu=gpu) for name, gpu in zip("abcd", ["", "", "0", "1"], strict=True)]
    for made in recipes * 2:
        make(warm, made)
    assert (loads(tmp_path), servers(tmp_path)) == (4, 4)


def test_one_that_dies_costs_its_request_alone(warm: Warm, tmp_path: Path) -> None:
    made = recipe(tmp_path, gpu="0")
    make(warm, made)
    with pytest.raises(GeneratorFailed, match="ended with code 3"):
        make(warm, made, "die")
    assert make(warm, made) and (loads(tmp_path), servers(tmp_path)) == (2, 1)


@pytest.mark.parametrize("gpu", ["", "0"])
def test_an_idle_process_ends_after_its_time(warm: Warm, other: GpuLock, tmp_path: Path, gpu: str) -> None:
    make(warm, recipe(tmp_path, gpu=gpu, idle_seconds=100))
    warm.leave(gpu)
    warm.tend(time.monotonic() + 95)
    assert servers(tmp_path) == 1 and other.acquire() == (not gpu)
    warm.tend(time.monotonic() + 100)
    assert servers(tmp_path) == 0 and other.acquire()


def test_a_job_keeps_its_process_and_its_gpu(warm: Warm, other: GpuLock, tmp_path: Path) -> None:
    assert warm.reserve("0")
    make(warm, recipe(tmp_path, gpu="0"))
    other.ask()
    warm.tend(time.monotonic() + 10_000)
    assert servers(tmp_path) == 1 and not other.acquire()


def test_a_gpu_without_a_process_is_free_after_its_job(warm: Warm, other: GpuLock) -> None:
    assert warm.reserve("0") and not other.acquire()
    warm.leave("0")
    assert other.acquire() and not warm.reserve("0")
    with pytest.raises(GpuBusy, match="another worker has the GPU 0"):
        make(warm, recipe(Path(), gpu="0"))


def test_a_command_gets_a_gpu_without_the_warm_process(warm: Warm, other: GpuLock, tmp_path: Path) -> None:
    make(warm, recipe(tmp_path, gpu="0"))
    locks = warm.unload("0")
    process = Process(Command([sys.executable, "-c", "print(1)"], tmp_path, 60, locks=locks), tmp_path / "cold")
    assert servers(tmp_path) == 0 and not other.acquire()
    assert "1" in process.lines(lambda: False, 60)
    process.close()
    warm.leave("0")
    assert other.acquire() and warm.unload("") == ()


def test_an_idle_owner_lets_go_when_another_worker_asks(warm: Warm, other: GpuLock, tmp_path: Path) -> None:
    make(warm, recipe(tmp_path, gpu="0"))
    other.ask()
    warm.leave("0")
    warm.tend(time.monotonic())
    assert servers(tmp_path) == 1
    warm.tend(time.monotonic() + module.PATIENCE_SECONDS)
    assert servers(tmp_path) == 0 and not warm.reserve("0") and other.acquire()


def test_an_owner_with_work_lets_go_after_its_turn(
    warm: Warm, other: GpuLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(warm, recipe(tmp_path, gpu="0"))
    other.ask()
    warm.leave("0")
    assert warm.reserve("0") and make(warm, recipe(tmp_path, gpu="0")) and loads(tmp_path) == 1
    warm.tend(time.monotonic())  # notes the wish during the job
    monkeypatch.setattr(module, "TURN_SECONDS", 0.0)
    assert not warm.reserve("0") and make(warm, recipe(tmp_path, gpu="0")) and loads(tmp_path) == 1  # the next take
    warm.leave("0")
    warm.tend(time.monotonic())
    assert servers(tmp_path) == 0 and other.acquire()


def test_nobody_waits_for_a_process_that_is_stopped(warm: Warm, tmp_path: Path) -> None:
    make(warm, recipe(tmp_path, gpu="0", environment={"SERVE_BEHAVIOUR": "deaf"}))
    warm.leave("0")
    stopping = threading.Thread(target=warm.tend, args=(time.monotonic() + 1000,))
    stopping.start()
    begun = time.monotonic()
    assert not warm.reserve("0")
    warm.leave("0")
    assert time.monotonic() - begun < 0.5 and stopping.is_alive()
    stopping.join(20)
    assert warm.reserve("0")


def test_a_wish_that_is_withdrawn_evicts_nobody(warm: Warm, tmp_path: Path) -> None:
    make(warm, recipe(tmp_path, gpu="0"))
    other = Warm()
    other.ask("0")
    other.withdraw("0")
    warm.leave("0")
    warm.tend(time.monotonic() + module.PATIENCE_SECONDS)
    assert servers(tmp_path) == 1 and not other.reserve("0")


def test_idle_processes_are_watched_in_a_thread(warm: Warm, tmp_path: Path) -> None:
    shutdown = threading.Event()
    thread = threading.Thread(target=warm.watch, args=(shutdown,))
    thread.start()
    make(warm, recipe(tmp_path, idle_seconds=0.1))
    wait_for(lambda: servers(tmp_path) == 0, 20)
    shutdown.set()
    thread.join(10)
    assert not thread.is_alive()


def test_two_workers_pass_a_gpu_on_to_each_other(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second", tmp_path / "third"]
    workers = []
    for folder in folders:
        folder.mkdir()
        workers.append(worker(folder, "0"))
        assert workers[-1].stdout.readline() == "made\n"
        assert servers(folder) == 1 and servers(tmp_path) == 1
    for process in workers:
        process.kill()
        process.communicate()
    assert [loads(folder) for folder in folders] == [1, 1, 1]


def test_a_killed_worker_frees_the_gpu_when_its_generator_is_gone(other: GpuLock, tmp_path: Path) -> None:
    killed = worker(tmp_path, "0", "fork")
    wait_for(lambda: any(line.startswith("forked") for line in records(tmp_path)), 20)
    assert not other.acquire()
    killed.kill()
    wait_for(other.acquire, 20)
    assert not running_in(tmp_path)
    killed.communicate()


def test_kills_at_any_moment_leave_no_process_and_no_lock(other: GpuLock, tmp_path: Path) -> None:
    for number in range(thorough(50, 8)):
        victim = worker(tmp_path, "0", random.choice(["folk", "fork", "hang"]))
        time.sleep(random.random() * 1.2)  # anywhere from the start to the idle process
        processes = [psutil.Process(victim.pid), *psutil.Process(victim.pid).children(recursive=True)]
        random.choice(processes).kill()
        victim.kill()
        victim.communicate()
        wait_for(other.acquire, 20, lambda number=number: f"in round {number}: {running_in(tmp_path)}")
        assert not running_in(tmp_path)
        other.release()
