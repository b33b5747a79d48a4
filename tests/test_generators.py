"""Generators: what their lines mean, the lengths they make, and processes that never outlive the worker."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from errors import Invalid
from generators.catalogue import catalogue
from generators.orders import Order, order_of
from settings import Settings
from studio.process import Command, Process
from tests.conftest import wait_for

RECIPES = catalogue(Settings(_env_file=None, diffrhythm_command="x --style={prompt} {output_dir}"))


def order(job_type: str, duration: Any) -> Order:
    """The order for a job with this metadata.duration."""
    return order_of(RECIPES[job_type], "folk", {"duration": duration})


def run(code: str, folder: Path, follow: Callable[[Process], Any] = lambda process: None) -> list[str]:
    """What a Python program prints when it runs as a generator; follow(process) is called at its first line."""
    process, lines = Process(Command([sys.executable, "-c", code], folder, 60), folder / "log"), []
    for line in process.lines(lambda: False, 60):
        if line and not lines:
            follow(process)
        lines += [line] if line else []
    return lines


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (None, 95), (95, 95), (95.4, 95), (95.5, 96), (120.5, 121), (284.6, 285), (1, 95), (10**400, 285),
        ("200", 200), (" 120.50 ", 121), ("0.5", 95),
    ],
)  # fmt: skip
def test_diffrhythm_makes_whole_seconds_from_95_to_285(duration: Any, seconds: int) -> None:
    made = order("diffrhythm", duration)
    assert made.values()["duration"] == seconds and isinstance(made.values()["duration"], int)
    assert len(made.notes) == (duration not in (None, 95, "200"))


@pytest.mark.parametrize(("duration", "seconds"), [(3.25, 3.25), (1, 3), ("7.125", 7.125), (601, 600)])
def test_other_generators_make_fractions_of_seconds(duration: Any, seconds: float) -> None:
    assert order("synth", duration).seconds == seconds


@pytest.mark.parametrize("duration", [float("nan"), float("inf"), -1, 0, False, "2e2", "+5", "1_0", "9" * 400, {}])
def test_a_duration_that_is_no_number_is_named_with_what_was_expected(duration: Any) -> None:
    with pytest.raises(Invalid, match=r"metadata\.duration: .*: expected a number of seconds above 0, such as 120"):
        order("diffrhythm", duration)


def test_a_generator_runs_in_its_folder_and_finds_no_module_of_ours(tmp_path: Path) -> None:
    code = "import os, importlib.util; print(os.getcwd()); print(importlib.util.find_spec('studio'))"
    assert run(code, tmp_path) == [str(tmp_path), "None"]


def test_a_generator_gets_variables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    code = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], 'API_TOKEN' in os.environ)"
    command = Command([sys.executable, "-c", code], tmp_path, 60, {"CUDA_VISIBLE_DEVICES": "1"})
    assert "1 False" in list(Process(command, tmp_path / "log").lines(lambda: False, 60))


def test_a_generator_that_asks_a_question_gets_no_answer(tmp_path: Path) -> None:
    assert run("input('Continue? [y/N]')", tmp_path)[-1].endswith("EOFError: EOF when reading a line")


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_all_processes_end_when_the_guard_the_supervisor_or_the_generator_is_killed(
    tmp_path: Path, victim: int
) -> None:
    forks = "import subprocess as s, time; s.Popen(['sleep', '600'], start_new_session=True); print(1, flush=True)"
    processes: list[psutil.Process] = []

    def kill(process: Process) -> None:
        guard = psutil.Process(process.pid)
        processes.extend([guard, *guard.children(recursive=True)])
        processes[victim].kill()
        wait_for(lambda: not any(map(runs, processes)), 30)

    run(f"{forks}; time.sleep(600)", tmp_path, kill)
    assert len(processes) == 4


def test_an_orphan_without_guard_and_supervisor_holds_up_nobody(tmp_path: Path) -> None:
    orphans: list[psutil.Process] = []

    def kill(process: Process) -> None:
        guard = psutil.Process(process.pid)
        [supervisor, _, orphan] = guard.children(recursive=True)
        orphans.append(orphan)
        guard.suspend()
        supervisor.kill()
        guard.kill()

    forks = "import subprocess as s, time; s.Popen(['sleep', '60'], start_new_session=True); print(1, flush=True)"
    assert run(f"{forks}; time.sleep(600)", tmp_path, kill) == ["1"]
    orphans[0].kill()


def runs(process: psutil.Process) -> bool:
    """True for a process that has not ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is a thing of Linux")
def test_a_generator_runs_on_the_cores_that_its_worker_was_started_with(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        assert run("import os; print(sorted(os.sched_getaffinity(0)))", tmp_path) == [f"[{max(allowed)}]"]
    finally:
        os.sched_setaffinity(0, allowed)
