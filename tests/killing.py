"""Kills a command of `flask` at a moment of its work, not of its start."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from settings import Settings
from tests.forked import Python
from tests.service import ROOT, clean_environment


def start(settings: Settings, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command on the database of these settings."""
    command = [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"), *arguments]
    env = clean_environment(DATABASE_URL=settings.database_url, STORAGE_DIR=str(settings.storage_dir))
    pipe = subprocess.PIPE
    return Python(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def seconds_of_work(settings: Settings, folder: Path, *arguments: str) -> float:
    """Run a command to its end. Returns the seconds between its first and its last line about its progress."""
    process = start(settings, folder, *arguments)
    assert process.stderr is not None
    moments = [time.monotonic() for line in process.stderr if " of " in line]
    process.communicate(timeout=100)
    assert process.returncode == 0
    return moments[-1] - moments[0]


def kill_at_work(settings: Settings, folder: Path, *arguments: str, seconds: float) -> None:
    """Start a command, and kill it these seconds after it says that its work begins, unless it has ended."""
    process = start(settings, folder, *arguments)
    assert process.stderr is not None and ": 0 of" in process.stderr.readline()
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
