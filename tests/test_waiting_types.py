"""Jobs that no worker here can make: nobody touches them; the log, the statistics and the page say what to set."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from database import database
from models import Event, Job
from repos import JobRepository, stats
from settings import Settings
from studio.worker import JobWorker

jobs = JobRepository()
TYPES = ("diffrhythm", "opera", "opera", "synth")


@pytest.fixture
def waiting(ledger: Settings) -> list[Any]:
    """Jobs of three types, as they were recorded."""
    return [jobs.create(job_id=f"j-{number}", prompt="p", job_type=name) for number, name in enumerate(TYPES)]


def test_a_worker_never_touches_a_job_that_it_did_not_claim(waiting: list[Job], ledger: Settings) -> None:
    jobs.delete("j-3")
    before, events = [jobs.get_by_id(f"j-{number}").__data__ for number in range(3)], Event.select().count()
    worker = JobWorker(ledger)
    assert [worker.tick(now) for now in (0, 100, 200)] == [False] * 3
    assert [jobs.get_by_id(f"j-{number}").__data__ for number in range(3)] == before
    assert Event.select().count() == events


def test_a_worker_logs_once_for_a_type_what_to_set(
    waiting: list[Job], ledger: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.delete("j-3")
    worker = JobWorker(ledger)
    for now in (0, 100, 200):
        worker.tick(now)
    said = [record.getMessage() for record in caplog.records if " wait: " in record.getMessage()]
    assert len(said) == 2 and "set DIFFRHYTHM_COMMAND" in said[0] and "2 of type opera" in said[1]


def test_the_statistics_say_which_types_wait(waiting: list[Job]) -> None:
    assert stats()["waiting_by_type"] == {"diffrhythm": 1, "opera": 2, "synth": 1}
    jobs.claim_of(["synth"], "w")
    assert jobs.waiting_types() == {"diffrhythm": 1, "opera": 2}
    assert jobs.waiting_types(most=0) == {"diffrhythm": 1, "opera": 1}


def test_what_waits_is_counted_through_an_index(waiting: list[Job]) -> None:
    plans, explain = [], "EXPLAIN QUERY PLAN " if database.param == "?" else "EXPLAIN "
    seen: list[Any] = []
    database.query_hooks.append(seen.append)
    jobs.waiting_types()
    database.query_hooks.remove(seen.append)
    with database.atomic():
        if database.param != "?":
            database.execute_sql("SET LOCAL enable_seqscan = off")
        plans = [str(database.execute_sql(explain + query.sql, query.params).fetchall()) for query in seen]
    assert len(plans) == 7 and all("job_queue" in plan or "Index" in plan for plan in plans), plans


def test_the_pages_say_what_a_job_waits_for(waiting: list[Job], ledger: Settings) -> None:
    pages = {workers: pages_of(ledger.model_copy(update={"workers": workers})) for workers in (0, 1)}
    assert "set DIFFRHYTHM_COMMAND" in pages[1]["j-0"] and "generator for opera" in pages[1]["j-1"]
    assert "set DIFFRHYTHM_COMMAND" in pages[1][""] and "no worker here" not in pages[1]["j-3"]
    assert not any("no worker here" in page for page in pages[0].values())


def pages_of(settings: Settings) -> dict[str, str]:
    """The text of the list and of the pages of two jobs that wait in vain and one that does not."""
    app = create_app(settings)
    client: FlaskClient = app.test_client()
    pages = {name: client.get(f"/jobs/{name}" if name else "/").text for name in ("", "j-0", "j-1", "j-3")}
    app.extensions["ledger"].close()
    return pages
