"""Databases of older versions: with the schema before a migration, and what is left when that migration is killed."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database import MIGRATIONS, bind, init_database, release, schema, schema_state
from settings import Settings
from tests.conftest import ROOT, clean_environment
from tests.migrations import snapshot
from tests.test_migrations_killed import KILLER


def database_before(name: str, fill: Callable[[], Any]) -> Any:
    """A fixture: a bound database with the schema before this migration, which fill() has filled.

    Its value is a folder with the migrations up to this one.
    """

    @pytest.fixture
    def old(
        kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Path]:
        url = f"sqlite:///{tmp_path / 'old.db'}"
        if kind == "postgresql":
            server, database = request.getfixturevalue("postgresql"), f"old{uuid.uuid4().hex}"
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {database}")
            url = server.replace("/postgres?", f"/{database}?")
        before = tmp_path / "before"
        shutil.copytree(MIGRATIONS, before, ignore=shutil.ignore_patterns("__pycache__"))
        after = shutil.copytree(before, tmp_path / "after")
        for script in before.glob("0*.py"):
            if script.stem >= name:
                script.unlink()
            if script.stem > name:
                (after / script.name).unlink()
        settings = Settings(_env_file=None, database_url=url, storage_dir=tmp_path / "output")
        monkeypatch.setattr(schema, "MIGRATIONS", before)
        init_database(settings)
        fill()
        monkeypatch.setattr(schema, "MIGRATIONS", after)
        monkeypatch.setenv("DATABASE_URL", url)
        yield after
        release()

    return old


def assert_all_or_nothing(old: Path) -> None:
    """Kill the last migration of this folder at every statement: it has done all or nothing."""
    before, url = str(snapshot()), os.environ["DATABASE_URL"]
    release()
    command = [sys.executable, "-c", KILLER, url, str(old), "1"]
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=300)
    left = ended.stdout.splitlines()
    assert ended.stderr == "" and len(left) > 10
    bind(Settings(_env_file=None, database_url=url))
    assert schema_state() == ([], []) and [state for state in left if state not in (before, str(snapshot()))] == []
    assert left[0] == before != str(snapshot())
