"""`flask export` and `flask import` as commands: the move in the documents, pipes, failures, and SIGKILL."""

import os
import random
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from database import database, init_database, release
from errors import BackupFailed
from maintenance.transfer.exporting import export_to_file
from maintenance.workplace import PREFIX
from models import Delivery, Event, Job
from repos import JobRepository
from settings import Settings
from tests.conftest import on_postgresql, thorough
from tests.documents import blocks
from tests.killed import in_fork
from tests.killing import kill_at_work, seconds_of_work
from tests.ledgers import another, exported, fill, live
from tests.service import ROOT, clean_environment
from tests.test_commands import flask

KILLS = thorough(20, 3)


@pytest.fixture
def source(template: Path, tmp_path: Path) -> Settings:
    """An SQLite ledger with everything in it."""
    settings = another(template, tmp_path / "source")
    fill(40)
    live()
    release()
    return settings


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run commands of a shell, with `flask` in its path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = clean_environment(PATH=path, FLASK_APP=str(ROOT / "app.py"), **environment)
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        text=True,
        capture_output=True,
        timeout=120,
    )


@on_postgresql
def test_the_documented_move_to_postgresql_works(source: Settings, database_url: str, tmp_path: Path) -> None:
    [block] = [block.text for block in blocks("sh") if "flask import ledger" in block.text]
    commands = re.sub("postgresql://[^']*", database_url, block)
    answer = run(commands, tmp_path, DB_PATH=str(source.sqlite_path))
    assert answer.returncode == 0, answer.stderr
    assert block.count("\n") <= 4 and database_url in commands
    init_database(Settings(_env_file=None, database_url=database_url))
    assert Job.select().count() == 44
    release()


def test_an_export_goes_through_a_pipe(source: Settings, settings: Settings, tmp_path: Path) -> None:
    pipe = f"flask export | DATABASE_URL='{settings.database_url}' flask import --json -"
    answer = run(pipe, tmp_path, DB_PATH=str(source.sqlite_path))
    assert answer.returncode == 0, answer.stderr
    assert '"unchanged":0' in answer.stdout and "Exported: jobs 44" in answer.stderr
    assert "--since 20" in answer.stderr


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("flask import x.jsonl", "Line 1: it is no JSON"),
        ("flask export x.jsonl", "exists already: choose another name"),
        ("flask export x.jsonl/y.jsonl", "A file cannot be used"),
        ("flask export . ", "is a directory"),
        ("flask export --since soon", "is not a time"),
        ("flask export --since 9999-12-31T23:59:59-14:00", "is not a time from 1970 to 9999"),
        ("flask export --since 0001-01-01T00:00:00+14:00", "is not a time from 1970 to 9999"),
        ("flask export > /dev/full", "A file cannot be used"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    source: Settings, tmp_path: Path, command: str, sentence: str
) -> None:
    (tmp_path / "x.jsonl").write_text("junk\n")
    answer = run(command, tmp_path, DB_PATH=str(source.sqlite_path))
    assert answer.returncode != 0 and sentence in answer.stderr.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".jsonl", ".part")) == ["x.jsonl"]


def test_an_export_never_replaces_a_database(source: Settings, tmp_path: Path) -> None:
    before = source.sqlite_path.read_bytes()
    refused = flask(tmp_path, "export", str(source.sqlite_path), DB_PATH=str(source.sqlite_path))
    assert refused.returncode == 1 and "exists already" in refused.stderr
    assert source.sqlite_path.read_bytes() == before


@pytest.mark.parametrize("target", [">(cat > x.jsonl)", "/dev/stdout | cat > x.jsonl", "fifo & cat fifo > x.jsonl"])
def test_an_export_is_written_into_a_pipe_that_has_a_name(source: Settings, tmp_path: Path, target: str) -> None:
    answer = run(f"mkfifo fifo; flask export {target}; wait", tmp_path, DB_PATH=str(source.sqlite_path))
    assert answer.returncode == 0, answer.stderr
    init_database(source)
    assert (tmp_path / "x.jsonl").read_bytes() == exported()
    release()


def test_an_export_into_the_storage_folder_is_refused(source: Settings) -> None:
    init_database(source)
    source.storage_dir.mkdir()
    (source.storage_dir.parent / "link").symlink_to("output")
    for folder in ("output", "link", "output/new", "link/../output"):
        with pytest.raises(BackupFailed, match="is in STORAGE_DIR"):
            export_to_file(source.storage_dir.parent / folder / "x.jsonl")
    assert list(source.storage_dir.iterdir()) == []
    release()


def test_only_its_user_can_read_an_export(source: Settings, tmp_path: Path) -> None:
    init_database(source)
    before = os.umask(0)
    export_to_file(tmp_path / "x.jsonl")
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.jsonl").stat().st_mode) == 0o600
    release()


def die(*progress: object) -> None:
    """Let the process kill itself."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.no_cover  # the fork would save what this process has measured
def test_the_next_export_removes_what_a_killed_one_has_left(source: Settings, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    init_database(source)
    assert not in_fork(lambda: export_to_file(tmp_path / "made" / "x.jsonl", None, die))
    [left] = (tmp_path / "made").iterdir()
    export_to_file(tmp_path / "made" / "x.jsonl")
    assert left.name.startswith(PREFIX) and os.listdir(tmp_path / "made") == ["x.jsonl"]
    release()


def records(export: bytes) -> list[bytes]:
    """The lines of an export between its header and its trailer."""
    return export.splitlines()[1:-1]


def empty() -> None:
    """Delete everything, as if it had never been imported."""
    Job.delete().execute()
    Event.delete().execute()
    Delivery.delete().execute()
    database.execute_sql("UPDATE pruned SET event_id = 0")


def test_a_killed_import_has_done_all_or_nothing(template: Path, ledger: Settings, tmp_path: Path) -> None:
    another(template, tmp_path / "source")
    fill(thorough(600, 200))
    file = tmp_path / "x.jsonl"
    file.write_bytes(exported())
    init_database(ledger)
    duration, rng = seconds_of_work(ledger, tmp_path, "import", str(file)), random.Random(5)
    assert records(exported()) == records(file.read_bytes())
    for _ in range(KILLS):
        empty()
        kill_at_work(ledger, tmp_path, "import", str(file), seconds=duration * rng.uniform(0, 1.2))
        assert records(exported()) in ([], records(file.read_bytes()))
    assert JobRepository().count() == Job.select().count()
