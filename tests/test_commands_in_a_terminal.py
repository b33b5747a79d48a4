"""The commands as real processes: on a terminal, in a pipe, killed, and beside a running service."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from database import release
from models import Event, Job
from repos import JobRepository
from settings import Settings
from tests.conftest import ROOT, Server, clean_environment, on_sqlite, thorough
from tests.terminals import terminal
from tests.test_commands import flask

repo = JobRepository()
ESCAPE = "\x1b"
# Queues the jobs of a file, and dies after a statement with this number.
KILLER = """
import os, signal, sys
from commands.jobs import jobs
from database import database, init_database
from settings import Settings
init_database(Settings(_env_file=None, database_url=sys.argv[1]))
number = [int(sys.argv[2])]
def count(event):
    number[0] -= 1
    if not number[0]:
        os.kill(os.getpid(), signal.SIGKILL)
database.query_hooks.append(count)
jobs(["add", "--from", sys.argv[3]])
"""


@on_sqlite
def test_a_table_on_a_terminal_has_a_frame_and_whole_ids(kind: str, ledger: Settings, tmp_path: Path) -> None:
    job = repo.create(prompt=f"{ESCAPE}[2Jvery long prompt " * 10)
    with terminal(tmp_path, "jobs", "list") as running:
        assert running.exit_code() == 0
        assert job.job_id in running.printed() and "┃" in running.printed()
        assert f"{ESCAPE}[2J" not in running.printed() and running.printed().count("\n") == 5


@on_sqlite
def test_bars_on_a_terminal_follow_a_job_until_it_has_finished(kind: str, ledger: Settings, tmp_path: Path) -> None:
    repo.create(job_id="rain", prompt="rain")
    with terminal(tmp_path, "jobs", "watch", "rain") as running:
        running.expect("pending")
        repo.update("rain", status="generating_audio", progress=40, message=f"step 4 [bold]{ESCAPE}[2J")
        running.expect("step 4 [bold] [2J")
        assert "40%" in running.printed() and "━" in running.printed()
        repo.update("rain", status="completed")
        assert running.exit_code() == 0 and "rain  completed" in running.printed()


@on_sqlite
def test_ctrl_c_ends_watching_in_silence(kind: str, ledger: Settings, job: Job, tmp_path: Path) -> None:
    with terminal(tmp_path, "jobs", "watch", "job-1") as running:
        running.expect("pending")
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.exit_code() == 130 and "Traceback" not in running.printed()


@on_sqlite
@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("y\n", 0)])
def test_a_deletion_asks_on_a_terminal(
    kind: str, ledger: Settings, job: Job, tmp_path: Path, answer: str, left: int
) -> None:
    with terminal(tmp_path, "jobs", "delete", "job-1") as running:
        running.expect("Delete job job-1?")
        running.type(answer)
        assert running.exit_code() == left and Job.select().count() == left


@on_sqlite
def test_a_pipe_that_closes_early_is_no_error(kind: str, ledger: Settings, tmp_path: Path) -> None:
    for number in range(200):
        repo.create(job_id=f"song-{number}", prompt="rain " * 1000)
    flask_ = f"{sys.executable} -m flask --app {ROOT / 'app.py'} jobs list --limit 200 | head -1"
    ended = subprocess.run(
        flask_, shell=True, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.startswith("job_id\t") and ended.stderr == ""


def test_a_batch_that_is_killed_is_queued_whole_or_not_at_all(ledger: Settings, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "rain", "job_id": "song-{number}"}}\n' for number in range(100)))
    release()
    for moment in range(1, 110, thorough(6, 40)):
        command = [sys.executable, "-c", KILLER, ledger.database_url, str(moment), str(prompts)]
        ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=60)
        assert Job.select().count() == (0 if ended.returncode else 100)
        assert Event.select().count() == Job.select().count()
        release()
    assert flask(tmp_path, "jobs", "add", "--from", str(prompts), DATABASE_URL=ledger.database_url).returncode == 0
    assert Job.select().count() == 100


def test_commands_work_beside_a_running_service(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(WORKERS="1").start()
    added = flask(tmp_path, "jobs", "add", "rain", "--type", "synth", "--metadata", "duration=1")
    watched = flask(tmp_path, "jobs", "watch", added.stdout.strip())
    assert watched.returncode == 0 and watched.stdout.splitlines()[-1].split("\t")[1:3] == ["completed", "100%"]
    shown: Any = json.loads(flask(tmp_path, "jobs", "show", added.stdout.strip(), "--json").stdout)
    assert running.call("GET", f"/api/jobs/{added.stdout.strip()}") == (200, shown)
    deleted = flask(tmp_path, "jobs", "delete", shown["job_id"], "--files", "--yes", STORAGE_DIR=str(running.storage))
    assert deleted.stdout.endswith("deleted\n") and running.call("GET", "/api/tracks")[1]["items"] == []
    assert not (running.storage / "jobs" / shown["job_id"]).exists()
