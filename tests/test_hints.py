"""The plans that hints lead to, when the statistics of SQLite are those of many more jobs."""

from collections.abc import Callable
from typing import Any

import pytest

from database import database
from database.hints import unindexed
from models import JOB_STATUSES, Job, utc_now
from records.search import JobSearch
from repos import JobRepository, Page
from tests.conftest import on_sqlite

jobs = JobRepository()
pytestmark = [pytest.mark.usefixtures("many"), on_sqlite]
STATISTICS = [  # as ANALYZE writes them
    *(("job_status", "200000 5000 1 1"), ("job_status_updated_at", "200000 5000 1 1")),
    *(("job_claim", "5000 1000 1 1"), ("job_queue", "5000 1000 100 1 1")),
    *(("job_created_at", "200000 1 1"), ("job_status_priority", "200000 5000 1000 1")),
    *(("job_type", "200000 200 1 1"), ("sqlite_autoindex_job_1", "200000 1")),
]


@pytest.fixture
def many(ledger: Any) -> None:
    """One job, and statistics of 200,000."""
    jobs.create(job_id="job-1", prompt="rain")
    database.execute_sql("ANALYZE")
    database.execute_sql("DELETE FROM sqlite_stat1 WHERE tbl = 'job'")
    for index, numbers in STATISTICS:
        database.execute_sql("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('job', ?, ?)", (index, numbers))
    database.execute_sql("ANALYZE sqlite_schema")


def plans(run: Callable[[], Any]) -> list[str]:
    """The plan of every statement that reads jobs while this runs."""
    events: list[Any] = []
    database.query_hooks.append(events.append)
    run()
    database.query_hooks.remove(events.append)
    queries = [(f"EXPLAIN QUERY PLAN {event.sql}", event.params) for event in events if "job" in event.sql]
    return [str(database.execute_sql(*query).fetchall()) for query in queries]


@pytest.mark.parametrize("after", [None, (utc_now(), "x")])
@pytest.mark.parametrize("sort", ["created_at", "updated_at", "priority"])
@pytest.mark.parametrize("repo", [jobs, JobSearch("rain")])
def test_a_list_of_running_jobs_does_not_walk_all_jobs(repo: JobRepository, sort: str, after: Any) -> None:
    page = Page(sort, after=after and (0 if sort == "priority" else after[0], after[1]))
    running = repo.in_status(*JOB_STATUSES.steps[1:-1])
    (plan,) = plans(lambda: repo.page(page, running))
    assert "(status=?)" in plan and "TEMP B-TREE FOR ORDER BY" in plan


def test_a_list_of_one_status_walks_its_index() -> None:
    (plan,) = plans(lambda: jobs.page(Page(), jobs.in_status("exporting")))
    assert "USING INDEX job_status (status=?)" in plan and "TEMP B-TREE" not in plan


def test_a_worker_for_some_types_walks_the_queue_in_its_order() -> None:
    for types in (["diffrhythm"], ["diffrhythm", "synth"]):
        (plan, *_) = plans(lambda: jobs.claim_of(types, "w"))  # noqa: B023
        assert "INDEX job_queue (job_type=?)" in plan and "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("condition", "index"), [(Job.job_id == "x", "sqlite_autoindex_job_1"), (Job.job_type == "x", "job_type")]
)
def test_an_unindexed_condition_uses_no_index(condition: Any, index: str) -> None:
    (plan,) = plans(lambda: list(Job.select().where(condition)))
    assert index in plan
    (plan,) = plans(lambda: list(Job.select().where(unindexed(condition))))
    assert "SCAN" in plan and "INDEX" not in plan
