"""Backup and restore that are killed by SIGKILL: the state before or the state after."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from database import init_database, leave
from maintenance.backup import backup
from maintenance.manifest import Backup
from maintenance.restore import restore
from maintenance.workplace import PREFIX
from models import Job
from repos import JobRepository
from settings import Settings
from tests.conftest import ROOT, clean_environment, thorough

pytestmark = pytest.mark.usefixtures("pg_tools")
KILLS = thorough(20, 1)
JOBS = thorough(3000, 1000)
RUN = """
import sys
from pathlib import Path
from maintenance.backup import backup
from maintenance.restore import restore
from settings import get_settings
print("ready", flush=True)
sys.stdin.readline()
{action}(get_settings(), Path({path!r}))
"""


@pytest.mark.parametrize("action", ["backup", "restore"])
def test_at_every_step_sigkill_leaves_the_state_before_or_after(action: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.killed", action, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), text=True, capture_output=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 20


def run_killed(settings: Settings, action: str, path: Path, moment: float | None) -> float:
    """Run an action in a process that is killed after so many seconds (None: never). Returns how long it took."""
    environment = clean_environment(DATABASE_URL=settings.database_url, STORAGE_DIR=str(settings.storage_dir))
    command = [sys.executable, "-c", RUN.format(action=action, path=str(path))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        begun = time.monotonic()
        try:
            process.wait(moment)
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    return time.monotonic() - begun


def fill(settings: Settings, prefix: str, number: int) -> None:
    """Create jobs."""
    init_database(settings)
    rows = [{"job_id": f"{prefix}{one}", "prompt": "ambient rain " * 20} for one in range(number)]
    for start in range(0, number, 500):
        Job.insert_many(rows[start : start + 500]).execute()


def present(settings: Settings) -> tuple[int, bool]:
    """(the number of jobs, whether the present database is the first one)."""
    init_database(settings)
    state = Job.select().count(), JobRepository().get_by_id("second0") is None
    leave()
    return state


@pytest.mark.timeout(600)
def test_a_backup_that_is_killed_at_any_moment_is_no_backup(ledger: Settings, tmp_path: Path) -> None:
    fill(ledger, "first", JOBS)
    folder = tmp_path / "copies"
    seconds = run_killed(ledger, "backup", folder / "whole", None)
    for number in range(KILLS):
        run_killed(ledger, "backup", folder / f"{number}", random.uniform(0, seconds))
        assert not (folder / f"{number}").exists() or Backup(folder / f"{number}").is_good()
    restore(ledger, backup(ledger, folder / "last").path)
    assert present(ledger) == (JOBS, True) and not list(folder.glob(f"{PREFIX}*"))


@pytest.mark.timeout(600)
def test_a_restore_that_is_killed_at_any_moment_leaves_one_of_the_two(ledger: Settings, tmp_path: Path) -> None:
    fill(ledger, "first", JOBS)
    first = backup(ledger, tmp_path / "first").path
    fill(ledger, "second", 1)
    second = backup(ledger, tmp_path / "second").path
    leave()
    seconds = run_killed(ledger, "restore", first, None)
    for number in range(KILLS):
        source = (second, first)[number % 2]
        run_killed(ledger, "restore", source, random.uniform(0, seconds))
        assert present(ledger) in ((JOBS, True), (JOBS + 1, False))
    restore(ledger, second)
    assert present(ledger) == (JOBS + 1, False)
