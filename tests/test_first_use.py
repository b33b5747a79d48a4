"""Scripts on a database that no server has prepared: the first use makes it, or refuses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment

MODEL = "from models import Job; Job.create(job_id='a', prompt='p'); print(Job.select().count())"
REPOSITORY = "from repos import JobRepository; print(JobRepository().create(job_type='x').prompt)"
THREADS = """
from concurrent.futures import ThreadPoolExecutor
from repos import JobRepository
with ThreadPoolExecutor(8) as pool:
    print(len({job.job_id for job in pool.map(lambda n: JobRepository().create(prompt=str(n)), range(8))}))
"""


def run(script: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a script on a database."""
    environment = clean_environment(DATABASE_URL=url)
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(("script", "output"), [(MODEL, "1\n"), (REPOSITORY, "None\n"), (THREADS, "8\n")])
def test_the_first_use_in_a_script_makes_the_database(tmp_path: Path, script: str, output: str) -> None:
    ended = run(script, f"sqlite:///{tmp_path}/new.db")
    assert (ended.stdout, ended.returncode) == (output, 0), ended.stderr


def test_the_first_use_in_a_script_makes_the_tables_on_postgresql(postgresql: str) -> None:
    import psycopg

    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE first_use")
    ended = run(REPOSITORY, postgresql.replace("/postgres?", "/first_use?"))
    assert (ended.stdout, ended.returncode) == ("None\n", 0), ended.stderr


def test_a_script_leaves_a_database_of_a_development_version_alone(tmp_path: Path) -> None:
    import cysqlite

    path = tmp_path / "old.db"
    connection = cysqlite.Connection(str(path))
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE job (job_id TEXT, prompt TEXT NOT NULL)")
    connection.close()
    before = path.read_bytes()
    ended = run(MODEL, f"sqlite:///{path}")
    assert "earlier development version" in ended.stderr and path.read_bytes() == before
