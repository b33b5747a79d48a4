"""Scripts on a database that no server has prepared: the first use makes it, or refuses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment

MODEL = "from models import Job; Job.create(job_id='a', prompt='p'); print(Job.select().count())"
REPOSITORY = "from repos import JobRepository; print(JobRepository().create(job_type='x').prompt)"
CONDITION = """
from models import Job
is_a = Job.metadata["genre"] == "a"
Job.create(job_id="a", metadata={"genre": "a"})
print(Job.select().where(is_a).count())
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
from repos import JobRepository
with ThreadPoolExecutor(8) as pool:
    print(len({job.job_id for job in pool.map(lambda n: JobRepository().create(prompt=str(n)), range(8))}))
"""
BINDERS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import database.connection as connection
open_one, opened, together = connection._open, [], threading.Barrier(8)
connection._open = lambda settings: (opened.append(settings), open_one(settings))[1]
def use(_):
    together.wait()
    connection.database.execute_sql("SELECT count(*) FROM job").fetchone()
sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(8) as pool:
    list(pool.map(use, range(8)))
print(len(opened))
"""


def run(script: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a script on a database."""
    environment = clean_environment(DATABASE_URL=url)
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("script", "output"), [(MODEL, "1\n"), (REPOSITORY, "None\n"), (CONDITION, "1\n"), (THREADS, "8\n")]
)
def test_the_first_use_in_a_script_makes_the_database(tmp_path: Path, script: str, output: str) -> None:
    ended = run(script, f"sqlite:///{tmp_path}/new.db")
    assert (ended.stdout, ended.returncode) == (output, 0), ended.stderr


@pytest.mark.parametrize(("script", "output"), [(REPOSITORY, "None\n"), (CONDITION, "1\n")])
def test_the_first_use_in_a_script_makes_the_tables_on_postgresql(postgresql: str, script: str, output: str) -> None:
    import psycopg

    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS first_use")
        connection.execute("CREATE DATABASE first_use")
    ended = run(script, postgresql.replace("/postgres?", "/first_use?"))
    assert (ended.stdout, ended.returncode) == (output, 0), ended.stderr


def test_importing_the_models_reads_no_settings() -> None:
    ended = run("import models, sys; print({'settings', 'pydantic', 'pydantic_settings'} & {*sys.modules})", "nonsense")
    assert (ended.stdout, ended.returncode) == ("set()\n", 0), ended.stderr


def test_a_condition_names_a_wrong_setting() -> None:
    ended = run("from models import Job; Job.metadata['genre'] == 'a'", "nonsense")
    assert "SettingsError: DATABASE_URL is set: expected sqlite:///" in ended.stderr and ended.returncode == 1


def test_threads_that_use_the_database_first_bind_one_database(tmp_path: Path) -> None:
    ended = run(BINDERS, f"sqlite:///{tmp_path}/new.db")
    assert (ended.stdout, ended.returncode) == ("1\n", 0), ended.stderr


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
