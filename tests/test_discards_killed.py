"""Deletion, undo and removal of files that race or are killed by SIGKILL: all or nothing, and no file too many."""

import ast
import subprocess
import sys

import pytest

from settings import Settings
from tests.conftest import ROOT, clean_environment, on_postgresql, on_sqlite, thorough


def run(settings: Settings, action: str, rounds: int = 0) -> str:
    """The output of an action of tests/killed_discards.py, which must work."""
    env = clean_environment(DATABASE_URL=settings.database_url, STORAGE_DIR=str(settings.storage_dir))
    command = [sys.executable, "-m", "tests.killed_discards", action, str(rounds)]
    ended = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, timeout=250)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@on_sqlite
@pytest.mark.parametrize(("action", "least"), [("discard", 10), ("undo", 15), ("expire", 20)])
def test_at_every_step_sigkill_leaves_all_or_nothing(settings: Settings, action: str, least: int) -> None:
    assert int(run(settings, action)) >= least


@on_postgresql
@pytest.mark.soak
@pytest.mark.parametrize(("action", "least"), [("discard", 10), ("undo", 15), ("expire", 20)])
def test_at_every_step_sigkill_leaves_all_or_nothing_on_postgresql(settings: Settings, action: str, least: int) -> None:
    assert int(run(settings, action)) >= least


def test_at_any_moment_sigkill_leaves_all_or_nothing(settings: Settings) -> None:
    rounds = thorough(60, 4)
    assert int(run(settings, "random", rounds)) == 2 * rounds


def test_only_one_of_undo_and_removal_wins(settings: Settings) -> None:
    rounds = thorough(60, 6)
    assert sum(number for _, number in ast.literal_eval(run(settings, "race", rounds))) == rounds
