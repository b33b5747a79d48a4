"""The migration that adds bars and intro: to loops of an older database, and killed at every statement."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database import MIGRATIONS, bind, database, init_database, release, schema, schema_state
from errors import Invalid
from repos import LoopRepository
from settings import Settings
from tests.conftest import ROOT, clean_environment
from tests.ledgers import fill
from tests.migrations import read, snapshot
from tests.test_migrations_killed import KILLER

NAME = "0007_bars"
SEAM = "UPDATE loop SET start = 1, \"end\" = 9.5, exact = {}, candidate = NULL WHERE loop_id = 'loop.1'"

WRONG: list[dict[str, Any]] = [
    {},
    {"bars": 8, "duration": 9},
    {"duration": 5, "start": 1, "end": 9},
    {"bars": 1, "start": 3, "end": 3},
]


@pytest.fixture
def old(kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database with the schema before the migration and three loops. Its value: the migrations up to this one."""
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
    fill(3)
    database.execute_sql(SEAM.format("true" if kind == "postgresql" else 1))
    monkeypatch.setattr(schema, "MIGRATIONS", after)
    monkeypatch.setenv("DATABASE_URL", url)
    yield after
    release()


def test_loops_of_an_older_database_keep_their_seconds_and_begin_with_their_track(old: Path) -> None:
    rows = read("SELECT loop_id, duration, start, exact, status, updated_at FROM loop ORDER BY loop_id")
    events = read("SELECT count(*) FROM event")
    assert init_database() == [NAME]
    assert read("SELECT loop_id, duration, start, exact, status, updated_at FROM loop ORDER BY loop_id") == rows
    assert read("SELECT DISTINCT bars, intro FROM loop") == [[None, True]]
    assert read("SELECT count(*) FROM event") == events


def test_the_migrated_rules_are_those_of_a_new_database(old: Path) -> None:
    init_database()
    loops = LoopRepository()
    assert loops.create(track_id="track-1", bars=8, start=1.0, end=90.0).duration is None
    for wrong in WRONG:
        with pytest.raises(Invalid):
            loops.create(track_id="track-1", **wrong)
    with pytest.raises(Invalid, match="end - start"):
        loops.update("loop.1", duration=5)


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
