"""JobStore: never stale, and bounded in jobs and in bytes."""

import subprocess
import sys
from typing import Any

import pytest

from database import database
from models import Job
from repos import JobRepository, JobStore
from tests.conftest import ROOT, clean_environment, thorough

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")


@pytest.fixture
def store(ledger: Any) -> Any:
    """A store of three jobs."""
    made = JobStore(3)
    yield made
    made.close()


def test_a_store_sees_what_another_process_committed(ledger: Any, job: Job, store: JobStore) -> None:
    assert store.get("job-1").message is None
    held = store.get("job-1")
    assert store.get("job-1") is held
    script = "from models import Job; Job.update(message='from outside').where(Job.job_id == 'job-1').execute()"
    env = clean_environment(DATABASE_URL=ledger.database_url)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=True, timeout=30)
    assert store.get("job-1").message == "from outside"


def test_a_store_sees_this_threads_own_writes(job: Job, store: JobStore) -> None:
    for number in range(5):
        jobs.update("job-1", message=str(number))
        assert store.get("job-1").message == str(number)
    jobs.delete("job-1")
    assert store.get("job-1") is None and len(store) == 0


def test_a_store_never_keeps_what_was_rolled_back(job: Job, store: JobStore) -> None:
    with database.atomic() as transaction:
        Job.update(message="never").where(Job.job_id == "job-1").execute()
        assert store.get("job-1").message == "never"
        transaction.rollback()
    assert store.get("job-1").message is None


def test_a_store_stays_within_its_size() -> None:
    rows = [{"job_id": f"{number:05}", "prompt": "p"} for number in range(thorough(10_000, 2500))]
    with database.atomic():
        for start in range(0, len(rows), 1000):
            Job.insert_many(rows[start : start + 1000]).execute()
    store = JobStore(1000)
    for row in rows:
        assert store.get(row["job_id"]).job_id == row["job_id"]
    assert len(store) == 1000
    assert store.get(rows[-1]["job_id"]) is store.get(rows[-1]["job_id"])
    store.close()


def test_a_store_does_not_hold_what_is_large(store: JobStore) -> None:
    jobs.create(job_id="large", prompt="p", metadata={"lyrics": "la " * 5000})
    assert store.get("large").metadata["lyrics"].startswith("la la") and len(store) == 0
