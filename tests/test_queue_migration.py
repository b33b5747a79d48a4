"""The migration that adds the state of the queue and places: to an older database, and killed at every statement."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from database import MIGRATIONS, bind, database, init_database, release, schema, schema_state
from models import Event
from repos import JobRepository, is_paused, set_paused
from settings import Settings
from tests.conftest import ROOT, clean_environment
from tests.migrations import read, snapshot
from tests.test_migrations_killed import KILLER

NAME = "0010_queue"
JOBS = """INSERT INTO job (job_id, priority, created_at) VALUES ('later', 0, 1764000000000000),
    ('first', 7, 1764000000000009), ('oldest', 0, 0), ('soon', 0, 1763999999999999)"""


@pytest.fixture
def old(kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database with the schema before the migration and four jobs. Its value: the migrations up to this one."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if kind == "postgresql":
        server, name = request.getfixturevalue("postgresql"), f"old{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = server.replace("/postgres?", f"/{name}?")
    before = tmp_path / "before"
    shutil.copytree(MIGRATIONS, before, ignore=shutil.ignore_patterns("__pycache__"))
    after = shutil.copytree(before, tmp_path / "after")
    for script in before.glob("0*.py"):
        if script.stem >= NAME:
            script.unlink()
        if script.stem > NAME:
            (after / script.name).unlink()
    settings = Settings(_env_file=None, database_url=url, storage_dir=tmp_path / "output")
    monkeypatch.setattr(schema, "MIGRATIONS", before)
    init_database(settings)
    database.execute_sql(JOBS)
    monkeypatch.setattr(schema, "MIGRATIONS", after)
    monkeypatch.setenv("DATABASE_URL", url)
    yield after
    release()


def test_an_older_queue_keeps_its_order_and_its_events(old: Path) -> None:
    rows, events = read("SELECT job_id, updated_at FROM job ORDER BY 1"), read("SELECT * FROM event ORDER BY event_id")
    assert init_database() == [NAME] and not is_paused()
    assert read("SELECT job_id, updated_at FROM job ORDER BY 1") == rows
    assert read("SELECT * FROM event ORDER BY event_id") == events and len(events) == 4
    jobs = JobRepository()
    claimed = [jobs.claim("w") for _ in range(4)]
    assert [job and job.job_id for job in claimed] == ["first", "oldest", "soon", "later"]


def test_new_events_follow_the_old_ones(old: Path) -> None:
    Event.delete().where(Event.event_id > 2).execute()
    init_database()
    set_paused(True)
    [newest] = Event.select().order_by(Event.event_id.desc()).limit(1)
    assert (newest.event_id, newest.entity) == (5, "queue")
    Event.delete().execute()
    assert read("SELECT event_id FROM pruned") == [[5]]


def test_the_migration_changes_nothing_if_it_is_killed(old: Path) -> None:
    before, url = str(snapshot()), os.environ["DATABASE_URL"]
    release()
    command = [sys.executable, "-c", KILLER, url, str(old), "1"]
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=300)
    left = ended.stdout.splitlines()
    assert ended.stderr == "" and len(left) > 10
    bind(Settings(_env_file=None, database_url=url))
    assert schema_state() == ([], []) and [state for state in left if state not in (before, str(snapshot()))] == []
    assert left[0] == before != str(snapshot())
