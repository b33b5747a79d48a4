"""The queue: which record a claim takes, what it costs, and whom it disturbs."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import cysqlite
import pytest

from database import database, is_postgresql
from models import Job
from records import waiting
from repos import JobRepository, LoopRepository
from settings import Settings
from tests.conftest import on_postgresql, on_sqlite

jobs, loops = JobRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")
MANY = 100_000
NUMBERS = {
    "?": f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})",
    "%s": f"WITH numbers AS (SELECT n FROM generate_series(1, {MANY}) AS n)",
}


@pytest.fixture
def many() -> None:
    """100,000 jobs: half of them pending, and every fiftieth of the type rare."""
    indexes = ["DROP INDEX job_search", "DROP INDEX job_metadata"] if is_postgresql() else []
    for faster in (*indexes, "ALTER TABLE job DISABLE TRIGGER USER" if indexes else "DROP TRIGGER job_created"):
        database.execute_sql(faster)
    database.execute_sql(
        f"INSERT INTO job (job_id, job_type, status, priority, created_at, updated_at) {NUMBERS[database.param]} "
        "SELECT 'j' || n, CASE mod(n, 50) WHEN 0 THEN 'rare' ELSE 'usual' END, "
        f"CASE WHEN n < {MANY // 2} THEN 'completed' ELSE 'pending' END, mod(n, 3), n, n FROM numbers"
    )
    database.execute_sql("ANALYZE")


def plans(act: Callable[[], Any]) -> list[str]:
    """The plan of every statement on jobs while this runs."""
    events: list[Any] = []
    database.query_hooks.append(events.append)
    act()
    database.query_hooks.remove(events.append)
    explain = "EXPLAIN" if is_postgresql() else "EXPLAIN QUERY PLAN"
    queries = [(f"{explain} {event.sql}", event.params) for event in events if " job" in event.sql]
    return [str(database.execute_sql(*query).fetchall()) for query in queries]


def test_a_claim_reads_few_index_entries_of_many_jobs(many: None) -> None:
    for types in ([], ["rare"], ["rare", "usual"], ["absent"], ["absent", "none"]):
        index = "job_queue" if types else "job_claim"
        seen = plans(lambda: jobs.claim_of(types, "w") if types else jobs.claim("w"))  # noqa: B023
        assert seen and all(index in plan for plan in seen), seen
        slow = ("SCAN job'", "TEMP B-TREE", "Seq Scan on job", "Sort  ")  # the index job_claim has only pending jobs
        assert not any(word in plan for plan in seen for word in slow), seen


def test_a_claim_of_several_types_keeps_the_order_of_the_queue() -> None:
    made = [("a", "synth", 0), ("b", "opera", 1), ("c", "synth", 1), ("d", "other", 9), ("e", "opera", 0)]
    for job_id, job_type, priority in made:
        jobs.create(job_id=job_id, job_type=job_type, priority=priority)
    claimed = [jobs.claim_of(["opera", "synth", "opera"], "w") for _ in range(5)]
    assert [job and job.job_id for job in claimed] == ["b", "c", "a", "e", None]
    assert jobs.claim_of([], "w") is None and jobs.get_by_id("d").status == "pending"


@on_sqlite
def test_a_worker_that_finds_nothing_takes_no_lock(ledger: Settings) -> None:
    database.execute_sql("PRAGMA busy_timeout = 0")
    other = cysqlite.connect(str(ledger.sqlite_path))
    other.execute("BEGIN IMMEDIATE")
    assert jobs.claim("w") is jobs.claim_of(["a"], "w") is jobs.claim_of(["a", "b"], "w") is loops.claim("w") is None
    other.execute("ROLLBACK")
    other.close()


@pytest.fixture
def locked(ledger: Settings) -> Iterator[Any]:
    """Another connection, in a transaction."""
    import psycopg

    with psycopg.connect(ledger.database_url) as other:
        yield other
        other.rollback()


@on_postgresql
@pytest.mark.parametrize("types", [[], ["a"], ["a", "b"]])
def test_a_claim_skips_what_another_transaction_claims(locked: Any, types: list[str]) -> None:
    for number, job_type in enumerate("abab"):
        jobs.create(job_id=f"{number}", job_type=job_type)
    locked.execute("UPDATE job SET status = 'exporting' WHERE job_id IN ('0', '1')")
    claimed = jobs.claim_of(types, "w") if types else jobs.claim("w")
    assert claimed is not None and claimed.job_id == "2"


def test_jobs_have_their_positions_in_the_queue() -> None:
    chance = random.Random(1)
    for number in range(12):
        jobs.create(job_id=f"{number}", priority=chance.choice([0, 0, 1]))
    jobs.make_next("7")
    jobs.make_next("3", "9")
    jobs.cancel("5")
    order = [job_id for job_id, _ in waiting.first("job_id", 100)]
    assert len(order) == 11 and order[0] == "7"
    for shown in (["1"], ["0", "4", "5", "9"], ["6", "5", "none"], ["5"], [], list("0123456789")):
        for most in (1, 4, 11, 100):
            positions = {job_id: min(number, most + 1) for number, job_id in enumerate(order, 1) if job_id in shown}
            assert waiting.positions(shown, most) == positions


@on_sqlite
def test_a_job_whose_text_is_not_utf8_is_claimed_and_changed() -> None:
    jobs.create(job_id="odd")
    database.execute_sql(
        "UPDATE job SET prompt = CAST(x'72E4696E' AS TEXT), metadata = CAST(x'7B2261223A22E4227D' AS TEXT)"
    )
    claimed = jobs.claim("w")
    assert claimed is not None and (claimed.prompt, claimed.metadata) == ("r\ufffdin", {"a": "\ufffd"})
    changed = jobs.update("odd", lease_token=claimed.lease_token, progress=5)
    assert changed is not None and (changed.prompt, changed.progress) == ("r\ufffdin", 5)


@pytest.mark.parametrize("verb", ["claim", "heartbeat", "update", "release"])
def test_a_verb_returns_the_record_as_it_is_stored(job: Job, verb: str) -> None:
    claimed: Any = jobs.claim("w")
    if verb == "update":
        claimed = jobs.update("job-1", lease_token=claimed.lease_token, progress=5, message="m")
    elif verb != "claim":
        claimed = getattr(jobs, verb)("job-1", claimed.lease_token)
    stored = jobs.get_by_id("job-1")
    assert stored is not None and claimed.__data__ == stored.__data__
    assert stored.updated_at > job.updated_at
