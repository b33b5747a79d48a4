"""The plans of the library: pages walk an index in the order of the list, or sort few tracks that an index finds."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from database import database, is_postgresql
from records import finding
from records.library import Library
from records.track_search import TrackQuery, TrackSearch
from repos import Page
from tests.conftest import thorough
from tests.library_fill import fill, fill_job

pytestmark = pytest.mark.usefixtures("ledger")
INDEXES = {"created_at": "track_created_at", "duration": "track_duration", "title": "track_name"}
FEW = [TrackQuery("rare"), TrackQuery(genre="polka"), TrackQuery(seed=7), TrackQuery(job_id="job-5", starred=True)]
TITLES = ["NULL", "'Song ' || (100000 + n)", "'Song ' || (100000 - n)"]


def plans(run: Callable[[], Any]) -> str:
    """The plans of the statements of a call, as JSON."""
    return json.dumps(statements(run, "EXPLAIN (FORMAT JSON) " if is_postgresql() else "EXPLAIN QUERY PLAN "))


def statements(run: Callable[[], Any], explain: str) -> list[Any]:
    """The statements of a call, explained. PostgreSQL scans small tables, unless it is not allowed."""
    events: list[Any] = []
    database.query_hooks.append(events.append)
    run()
    database.query_hooks.remove(events.append)
    if is_postgresql():
        database.execute_sql("SET enable_seqscan = off")
    return [database.execute_sql(explain + event.sql, event.params).fetchall() for event in events]


def steps(run: Callable[[], Any]) -> int:
    """The steps that SQLite makes in a call, in tens; on PostgreSQL, the rows that its statements read."""
    if is_postgresql():
        return sum(map(rows_read, statements(run, "EXPLAIN (ANALYZE, FORMAT JSON) ")))
    made: list[int] = []
    database.connection().progress(lambda: made.append(1), 10)
    run()
    database.connection().progress(None, 0)
    return len(made)


def rows_read(plan: Any) -> int:
    """The rows that all parts of a plan have read, as EXPLAIN ANALYZE counts them."""
    if isinstance(plan, list | tuple):
        return sum(map(rows_read, plan))
    if not isinstance(plan, dict):
        return 0
    rows = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    return int(rows * plan.get("Actual Loops", 1)) + sum(map(rows_read, plan.values()))


def scans(plan: str) -> bool:
    """True if a plan reads a whole table."""
    return '"Seq Scan", "Parallel' in plan or '"SCAN track"' in plan or '"SCAN job"' in plan


def walks(plan: str, index: str) -> bool:
    """True if a plan reads this index. The name alone is not enough: track_name is also a key of the metadata."""
    return f'"Index Name": "{index}"' in plan or f" INDEX {index}" in plan


@pytest.mark.parametrize("sort", INDEXES)
def test_a_page_of_many_matches_walks_the_index_of_its_order(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "FEW", 20)
    fill(400)
    last = Library(TrackQuery()).groups(Page(sort, limit=3))[-1]
    for query in (TrackQuery(), TrackQuery("folk"), TrackQuery(genre="folk"), TrackQuery(job_type="synth")):
        for page in (Page(sort, limit=3), Page(sort, limit=3, after=last.place)):
            for run in (Library(query).groups, TrackSearch(query).page_rows):
                plan = plans(lambda run=run, page=page: run(page))  # type: ignore[misc]
                assert walks(plan, INDEXES[sort]) and not scans(plan), plan


@pytest.mark.parametrize("query", FEW)
def test_a_page_of_few_matches_reads_no_other_tracks(query: TrackQuery) -> None:
    fill(400)
    for run in (Library(query).groups, TrackSearch(query).page_rows):
        plan = plans(lambda run=run: run(Page("title")))  # type: ignore[misc]
        assert not scans(plan) and not any(walks(plan, index) for index in INDEXES.values()), plan


@pytest.mark.parametrize("way", [True, False])
@pytest.mark.parametrize("sort", INDEXES)
@pytest.mark.parametrize("title", thorough(TITLES, TITLES[:2]))
def test_four_times_as_many_takes_of_a_job_are_four_times_as_much_work(
    title: str, sort: str, way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "FEW", 20)
    for query in (TrackQuery(), TrackQuery("rain")):
        work = []
        for takes in thorough((250, 1000), (100, 400)):
            fill_job(takes, title)
            work.append(steps(lambda query=query: Library(query).groups(Page(sort, way))))  # type: ignore[misc]
        assert work[1] <= 6 * work[0], (query, work)


@pytest.mark.soak
def test_a_search_among_a_hundred_thousand_tracks_needs_at_most_a_tenth_of_a_second() -> None:
    fill(100_000)
    texts = ("folk piano", "fol", "w7 guitar", "w777", "rare", "old", "nothing", "song 7")
    queries = [*map(TrackQuery, texts), TrackQuery(), TrackQuery(genre="ambient"), TrackQuery(starred=True)]
    clock = time.perf_counter if is_postgresql() else time.process_time
    for query in queries:
        for sort in INDEXES:
            took = []
            for _ in range(3):
                begun = clock()
                Library(query).groups(Page(sort, limit=51))
                Library(query).genres()
                Library(query).count_starred()
                took.append(clock() - begun)
            assert min(took) < 0.1, (query, sort, took)
