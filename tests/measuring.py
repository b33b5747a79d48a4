"""Fixtures of all tests that save CPU time: which processes coverage measures, and which are forks."""

import os
import subprocess
from types import SimpleNamespace

import pytest
from coverage import Coverage

from files import derived
from tests.forked import MEASURED, Python


@pytest.fixture(scope="session", autouse=True)
def coverage_of_processes() -> str | None:
    """The variable that makes coverage measure processes, if it is to; servers of several tests do not get it.

    After each pause, coverage would patch os.fork() once more: after 1,000 tests with `no_cover`, a fork takes 4 s.
    """
    if measuring := Coverage.current():
        measuring.set_option("run:patch", [])
    return os.environ.pop(MEASURED, None)


@pytest.fixture(autouse=True)
def measure_only_marked_processes(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, coverage_of_processes: str | None
) -> None:
    """Measure no coverage in processes of tests without the mark `measured`: it makes them half as fast."""
    monkeypatch.delenv(MEASURED, raising=False)
    if coverage_of_processes and request.node.get_closest_marker("measured"):
        monkeypatch.setenv(MEASURED, coverage_of_processes)


@pytest.fixture(autouse=True)
def derive_files_in_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make derived files in forks of a process that has imported numpy: its import takes longer than the work."""
    monkeypatch.setattr(derived, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": Python}))
