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


def test_a_generator_dies_with_its_supervisor(tmp_path: Path) -> None:
    pids: list[int] = []

    def kill_the_supervisor(process: Process) -> None:
        supervisor = psutil.Process(process.pid)
        pids.extend(child.pid for child in supervisor.children())
        supervisor.kill()

    run("import time; print('started', flush=True); time.sleep(600)", tmp_path, kill_the_supervisor)
    assert len(pids) == 1
    wait_for(lambda: not psutil.pid_exists(pids[0]), 10)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is a thing of Linux")
def test_a_generator_runs_on_the_cores_that_its_worker_was_started_with(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        assert run("import os; print(sorted(os.sched_getaffinity(0)))", tmp_path) == [f"[{max(allowed)}]"]
    finally:
        os.sched_setaffinity(0, allowed)
