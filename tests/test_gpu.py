"""Locks of GPUs: one owner at a time, for as long as its generator runs, whoever is killed."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.gpu import GpuLock, lock_folder
from studio.process import Command, Process
from tests.conftest import ROOT, wait_for
from tests.workers import running_in

pytestmark = pytest.mark.usefixtures("own_locks", "nothing_is_left_running")
HOLDER = """
import sys, time
from studio.gpu import GpuLock
lock = GpuLock("0")
lock.ask() if sys.argv[1] == "ask" else lock.acquire()
print("has it", flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)", sys.argv[1]]
subprocess.Popen(child, start_new_session=True)
print("10%", flush=True)
time.sleep(600)
"""
WORKER = """
import sys
from pathlib import Path
from studio.gpu import GpuLock
from studio.process import Command, Process
lock, folder = GpuLock("0"), Path(sys.argv[1])
assert lock.acquire()
command = [sys.executable, "-c", sys.argv[2], str(folder)]
process = Process(Command(command, folder, 60, locks=[lock.fileno()]), folder / "log")
for line in filter(None, process.lines(lambda: False, 60)):
    (folder / "guard").write_text(str(process.pid))
    print(line, flush=True)
"""


RIVAL = """
import os, sys
from studio.gpu import GpuLock
lock, rounds = GpuLock("0"), 0
os.chdir(sys.argv[1])
print("ready", flush=True)
while not os.path.exists("go"):
    os.sched_yield()
while rounds < 300:
    if lock.acquire():
        os.mkdir("here")  # fails if the other one is here, too
        os.sched_yield()
        os.rmdir("here")
        lock.release()
        rounds += 1
"""


@pytest.fixture
def lock() -> Iterator[GpuLock]:
    """The lock of GPU 0."""
    made = GpuLock("0")
    yield made
    made.release()
    made.withdraw()


def python(code: str, *words: str) -> subprocess.Popen[str]:
    """A program that has printed its first line."""
    process = subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a program with SIGKILL."""
    process.kill()
    process.communicate()


def test_a_gpu_has_one_owner(lock: GpuLock) -> None:
    other, elsewhere = GpuLock("0"), GpuLock("1")
    assert lock.acquire() and lock.acquire() and not other.acquire() and elsewhere.acquire()
    lock.release()
    assert other.acquire() and not lock.acquire()
    other.release()
    elsewhere.release()


def test_two_processes_never_have_a_gpu_at_once(tmp_path: Path) -> None:
    rivals = [python(RIVAL, str(tmp_path)) for _ in range(2)]
    (tmp_path / "go").touch()
    for rival in rivals:
        rival.communicate(timeout=60)
    assert [rival.returncode for rival in rivals] == [0, 0]


def test_a_killed_owner_frees_the_gpu(lock: GpuLock) -> None:
    owner = python(HOLDER, "acquire")
    assert not lock.acquire()
    kill(owner)
    assert lock.acquire()


@pytest.mark.parametrize("word", ["", "0", "../0", "a/b", "a\0b", "cuda:0", "x" * 5000, "🎧", "\udcff", "A", "a"])
def test_every_word_has_a_lock_of_its_own(word: str) -> None:
    taken, others = GpuLock(word), [GpuLock(other) for other in ("1", "-", "A-", "a-")]
    assert taken.acquire() and all(other.acquire() for other in others) and not GpuLock(word).acquire()
    assert len(list(lock_folder().iterdir())) == 5
    for each in (taken, *others):
        each.release()


def test_a_wish_lasts_as_long_as_its_process(lock: GpuLock) -> None:
    assert lock.acquire() and not lock.is_wanted()
    asker = python(HOLDER, "ask")
    assert lock.is_wanted()
    kill(asker)
    assert not lock.is_wanted()


def test_several_workers_may_ask_and_one_that_gets_the_gpu_asks_no_more(lock: GpuLock) -> None:
    first, second = GpuLock("0"), GpuLock("0")
    first.ask()
    second.ask()
    first.withdraw()
    assert lock.is_wanted() and second.acquire() and not lock.is_wanted()
    second.release()


def test_a_lock_file_that_was_removed_is_made_anew(lock: GpuLock) -> None:
    assert lock.acquire()
    for path in lock_folder().iterdir():
        path.unlink()
    lock.release()
    other = GpuLock("0")
    assert other.acquire() and not lock.acquire()
    other.release()


def test_a_lock_file_that_is_removed_at_the_same_moment_is_not_used(
    lock: GpuLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, removals = fcntl.flock, iter([True, False])

    def flock_later(handle: int, kind: int) -> None:
        if next(removals):
            [path] = lock_folder().iterdir()
            path.unlink()
        flock(handle, kind)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", flock_later)
        assert lock.acquire()
    [path] = lock_folder().iterdir()
    assert os.path.samestat(os.fstat(lock.fileno()), path.stat())


def test_a_folder_of_somebody_else_is_not_used(lock: GpuLock, tmp_path: Path) -> None:
    lock_folder().rmdir()
    (tmp_path / "elsewhere").mkdir(0o700)
    lock_folder_path = Path(tmp_path, "temporary", f"ledger-gpu-{os.geteuid()}")
    lock_folder_path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="expected a folder of this user that nobody else may enter"):
        lock.acquire()
    lock_folder_path.unlink()
    lock_folder_path.mkdir()
    lock_folder_path.chmod(0o755)
    with pytest.raises(PermissionError):
        lock.acquire()


def test_a_lock_file_is_not_followed_to_another_file(lock: GpuLock, tmp_path: Path) -> None:
    lock.acquire()
    lock.release()
    [path] = lock_folder().iterdir()
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        lock.acquire()
    assert not (tmp_path / "other").exists()


def test_the_generator_inherits_no_lock_and_no_pipe_of_its_supervisor(lock: GpuLock, tmp_path: Path) -> None:
    lock.acquire()
    code = "import os; print(os.readlink('/proc/self/fd/0'), len(os.listdir('/proc/self/fd')))"
    command = Command([sys.executable, "-c", code], tmp_path, 60, locks=[lock.fileno()])
    process = Process(command, tmp_path / "log")
    assert list(filter(None, process.lines(lambda: False, 60))) == ["/dev/null 4"]  # the fourth lists them


@pytest.mark.parametrize("victim", ["worker", "guard", "supervisor", "generator"])
def test_a_gpu_is_free_when_all_processes_of_its_generator_have_ended(
    lock: GpuLock, tmp_path: Path, victim: str
) -> None:
    worker = python(WORKER, str(tmp_path), STUBBORN)
    guard = psutil.Process(int((tmp_path / "guard").read_text()))
    [supervisor] = guard.children()
    [generator] = supervisor.children()
    {"worker": psutil.Process(worker.pid), "guard": guard, "supervisor": supervisor, "generator": generator}[
        victim
    ].kill()
    wait_for(lambda: lock.acquire() or lock.is_held, 20)
    assert not running_in(tmp_path)
    kill(worker)
