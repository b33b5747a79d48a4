"""JobStore: what a read costs, the same on both databases, and what it answers for odd ids."""

from typing import Any

import pytest

from database import database
from models import Job
from repos import JobRepository, JobStore

jobs = JobRepository()


@pytest.fixture
def store(ledger: Any, job: Job) -> JobStore:
    """A store that has read the job."""
    made = JobStore()
    made.get("job-1")
    return made


def test_a_cached_job_costs_one_small_statement(store: JobStore, statements: list[str]) -> None:
    assert store.get("job-1") is store.get("job-1")
    assert len(statements) == 2 and not any("metadata" in sql for sql in statements)


def test_a_change_of_another_job_leaves_a_job_in_the_cache(store: JobStore) -> None:
    cached = store.get("job-1")
    jobs.create(job_id="other", prompt="drums")
    assert store.get("job-1") is cached


@pytest.mark.parametrize(
    "change",
    [
        lambda: jobs.update("job-1", message="m"),
        lambda: Job.update(message="m").where(Job.job_id == "job-1").execute(),
        lambda: database.execute_sql("UPDATE job SET message = 'm', updated_at = 1 WHERE job_id = 'job-1'"),
    ],
    ids=["by a repository", "by a model", "by raw SQL that sets the clock back"],
)
def test_a_changed_job_is_read_again(change: Any, store: JobStore, statements: list[str]) -> None:
    change()
    statements.clear()
    job = store.get("job-1")
    assert job is not None and job.message == "m" and len(statements) == 2
    assert store.get("job-1") is job


def test_a_job_that_was_deleted_and_made_again_is_read_again(store: JobStore) -> None:
    jobs.delete("job-1")
    assert store.get("job-1") is None and len(store) == 0
    jobs.create(job_id="job-1", prompt="again")
    assert store.get("job-1").prompt == "again"


@pytest.mark.parametrize("job_id", ["a\0b", "\ud800", "x" * 100_000, "", "..", "nobody"])
def test_an_id_that_no_job_can_have_is_no_job(job_id: str, store: JobStore) -> None:
    assert store.get(job_id) is None


@pytest.mark.parametrize("change", ["created_at = 1", "fingerprint = 'x'", "lease_seconds = 9", "priority = 7"])
def test_a_change_of_any_column_by_plain_sql_is_seen(store: JobStore, change: str) -> None:
    before = store.get("job-1")
    database.execute_sql(f"UPDATE job SET {change}")
    after = store.get("job-1")
    assert after is not before and after.version > before.version
