"""The plans of lists, claims and counts among 100,000 jobs and loops: an index has the rows in the right order."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from database import database, init_database, is_postgresql, library_index, release
from database import queue as queue_sql
from database.ledger.postgresql import PostgreSQL
from database.ledger.sqlite import SQLite
from maintenance import housekeeping
from models import JOB_STATUSES, Job, utc_now
from records.filters import equals
from records.recent import recent_jobs
from records.search import JobSearch
from repos import JobRepository, LoopRepository, Page, stats
from settings import Settings

jobs, loops = JobRepository(), LoopRepository()
COUNT = 100_000
RARE = ("failed", "cancelled")
SCAN = r"SCAN (?:job|loop)(?! USING| VIRTUAL|_search)"  # of a whole table, on SQLite
TOTAL = r'\[\[\[\[\{"Plan": .*?"Total Cost": ([0-9.]+)'  # the cost of a whole plan, on PostgreSQL
SORTS = ("created_at", "updated_at", "priority")
JOBS = """INSERT INTO job (job_id, status, job_type, priority, metadata, created_at, updated_at)
    SELECT 'job-' || n,
    CASE WHEN mod(n, 1000) = 7 THEN 'failed' WHEN mod(n, 10) = 3 THEN 'pending' ELSE 'completed' END,
    CASE WHEN mod(n, 2) = 0 THEN 'synth' ELSE 'diffrhythm' END, mod(n, 5), '{"a": 1}', n, n FROM numbers"""
TRACKS = "INSERT INTO track (track_id, job_id, created_at) SELECT 'track-' || n, 'job-' || n, n FROM numbers"
LOOPS = """INSERT INTO loop (loop_id, track_id, status, duration, priority, created_at, updated_at)
    SELECT 'loop-' || n, 'track-' || n, CASE WHEN mod(n, 1000) = 7 THEN 'FAILED' ELSE 'COMPLETED' END, 9, mod(n, 5),
    n, n FROM numbers"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"], autouse=True)
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A database with 100,000 jobs, tracks and loops. Its triggers are gone, as they would make it slow to fill."""
    path: Path = tmp_path_factory.mktemp("plans") / "app.db"
    url = f"sqlite:///{path}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").replace("/postgres?", "/plans?")
        settle(request.getfixturevalue("postgresql"), "CREATE DATABASE plans")
    settings = Settings(_env_file=None, database_url=url)
    init_database(settings)
    fill()
    yield settings
    release()
    if request.param == "postgresql":
        settle(request.getfixturevalue("postgresql"), "DROP DATABASE plans WITH (FORCE)")


def settle(server: str, statement: Any) -> None:
    """Run a statement outside of transactions on the PostgreSQL server."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def fill() -> None:
    """Fill the tables without their triggers and indexes, make the indexes again, and analyse the tables."""
    library = library_index.on_postgresql() if is_postgresql() else library_index.on_sqlite()
    ledger = (PostgreSQL() if is_postgresql() else SQLite()).statements()
    older = [each for each in ledger if not re.match(r"CREATE INDEX job_(claim|queue)", each)]
    statements = [*older, *library_index.indexes(is_postgresql()), *library, *queue_sql.indexes()]
    indexes = [each for each in statements if each.startswith("CREATE INDEX") and " ON event" not in each]
    for statement in statements:
        made = re.match(r"CREATE (INDEX|TRIGGER) (\w+)", statement)
        table = re.search(r" ON (job|track|loop)\b", statement)
        if made and table:
            of_table = f" ON {table[1]}" if made[1] == "TRIGGER" and is_postgresql() else ""
            database.execute_sql(f"DROP {made[1]} {made[2]}{of_table}")
    numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {0}) "
    for statement in (JOBS, TRACKS, LOOPS):
        with database.atomic():
            database.execute_sql(numbers.format(COUNT) + statement)
    for statement in indexes:
        if re.search(r" ON (job|track|loop)\b", statement):
            database.execute_sql(statement)
    if is_postgresql():
        database.execute_sql("ANALYZE")
    else:
        database.execute_sql("INSERT INTO job_search (rowid, fields) SELECT rowid, 'x' FROM job")
        database.execute_sql("UPDATE search_mark SET job_rowid = (SELECT max(rowid) FROM job)")
        housekeeping.optimise()


def plans(run: Callable[[], Any]) -> str:
    """The plans of all statements that read jobs or loops while this runs, as JSON."""
    events: list[Any] = []
    database.query_hooks.append(events.append)
    run()
    database.query_hooks.remove(events.append)
    explain = "EXPLAIN (FORMAT JSON) " if is_postgresql() else "EXPLAIN QUERY PLAN "
    asked = [event for event in events if re.search(r"\b(job|loop)\b", event.sql)]
    return json.dumps([database.execute_sql(explain + event.sql, event.params).fetchall() for event in asked])


def walks(plan: str, *indexes: str) -> bool:
    """True if a plan reads few rows: on SQLite only by these indexes, and without a sort."""
    if is_postgresql():
        return "Seq Scan" not in plan and all(float(cost) < 5000 for cost in re.findall(TOTAL, plan))
    used = set(re.findall(r"INDEX ((?:job|loop)_\w+)", plan))
    return used == set(indexes) and "TEMP B-TREE" not in plan and not re.search(SCAN, plan)


@pytest.mark.parametrize("after", [None, (5, "x")], ids=["first", "after"])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("statuses", [("completed",), RARE, ("completed", "pending"), ("completed", "failed")])
def test_a_list_of_some_statuses_walks_the_index_of_its_order(statuses: Any, sort: str, after: Any) -> None:
    index = "job_status" if sort == "created_at" else f"job_status_{sort}"
    plan = plans(lambda: jobs.page_rows(Page(sort, after=after), jobs.in_status(*statuses)))
    assert walks(plan, index), plan


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("repo", [jobs, loops], ids=["jobs", "loops"])
def test_a_list_of_all_walks_an_index_in_every_order(repo: Any, sort: str) -> None:
    index = f"{repo.name}_created_at" if sort == "created_at" else f"{repo.name}_status_{sort}"
    plan = plans(lambda: repo.page_rows(Page(sort)))
    assert walks(plan, index), plan


def test_the_recent_settings_are_those_of_the_newest_jobs() -> None:
    plan = plans(lambda: recent_jobs(["synth", "other"], 10))
    assert walks(plan) if is_postgresql() else "SCAN job USING INDEX job_created_at" in plan, plan


@pytest.mark.parametrize("sort", SORTS)
def test_the_loops_of_a_track_are_sorted(sort: str) -> None:
    plan = plans(lambda: loops.page_rows(Page(sort), equals(loops.model.track, "track-5")))
    assert "loop_track" in plan and "loop_status" not in plan, plan


def test_merged_pages_are_those_of_one_sorted_list() -> None:
    for sort in SORTS:
        page = Page(sort, limit=7, offset=3, after=(3 if sort == "priority" else 90_000, "job-5"))
        rows = jobs.page_rows(page, jobs.in_status("failed", "pending"))
        status = Job.status.in_(("failed", "pending"))
        field = getattr(Job, sort)
        before = (field < page.after[0]) | ((field == page.after[0]) & (Job.job_id < "job-5"))  # type: ignore[index]
        wanted = Job.select(Job.job_id).where(status, before).order_by(field.desc(), Job.job_id.desc())
        assert [row[0] for row in rows] and len(rows) == 7
        keys = [job.job_id for job in jobs.page(page, jobs.in_status("failed", "pending"))]
        assert keys == [key for (key,) in wanted.offset(3).limit(7).tuples()]


def test_a_merged_list_keeps_the_other_conditions() -> None:
    type_is = equals(Job.job_type, "synth")
    for where in ([jobs.in_status("failed", "completed"), type_is], [type_is], [type_is, Job.priority == 4]):
        page = jobs.page(Page("updated_at", limit=9), *where)
        assert len(page) == 9 and {job.job_type for job in page} == {"synth"}
        assert len(where) == 2 or {job.status for job in page} <= {"completed", "pending", "failed"}


QUEUE = f"status = 'pending' ORDER BY priority DESC, {queue_sql.PLACE}, job_id LIMIT 1"


@pytest.mark.parametrize(("index", "condition"), [("job_claim", ""), ("job_queue", "job_type = 'synth' AND")])
def test_the_head_of_the_queue_is_read_from_an_index(index: str, condition: str) -> None:
    hint = "" if is_postgresql() else f"INDEXED BY {index}"
    plan = plans(lambda: database.execute_sql(f"SELECT job_id FROM job {hint} WHERE {condition} {QUEUE}"))
    assert walks(plan, index), plan


def test_statistics_read_the_tally_and_few_jobs() -> None:
    plan = plans(stats)
    assert walks(plan, "job_status", "job_queue"), plan


@pytest.mark.parametrize("where", [(), ("completed",), RARE])
def test_a_count_by_status_reads_no_job(where: tuple[str, ...]) -> None:
    plan = plans(lambda: jobs.count(*([jobs.in_status(*where)] if where else [])))
    assert plan == "[]"


def test_a_filter_that_no_job_meets_reads_no_job() -> None:
    search = JobSearch(metadata={"a": "2"})
    plan = plans(lambda: search.page_rows(Page()))
    assert "Seq Scan" not in plan and not re.search(SCAN, plan), plan


def test_expired_leases_are_read_from_their_index() -> None:
    plan = plans(lambda: jobs.requeue_expired(utc_now()))
    assert walks(plan, "job_lease"), plan


def test_a_list_of_running_jobs_sorts_them() -> None:
    plan = plans(lambda: jobs.page_rows(Page(), jobs.in_status(*JOB_STATUSES.steps[1:-1])))
    assert "Seq Scan" not in plan and not re.search(SCAN, plan), plan
