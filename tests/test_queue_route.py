"""GET /api/queue: what runs, what comes next, in parts, with positions and estimates."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Job
from records import waiting
from records.waiting import Place
from repos import JobRepository
from tests.test_forecast import finished, waits, worker
from tests.test_queue import many as many
from tests.test_queue import plans
from web.api import queue

jobs = JobRepository()


@pytest.fixture
def seven(client: FlaskClient) -> None:
    """One running job, and six that wait, of three priorities; two were moved, and two are of one moment."""
    finished()
    worker()
    for number, priority in enumerate((9, 0, 5, 0, -5, 0, 0)):
        waits(f"j{number}", priority=priority)
    Job.update(created_at=Job.get_by_id("j3").created_at).where(Job.job_id == "j5").execute()
    assert jobs.claim("box:1")
    jobs.make_next("j6", "j1")
    jobs.make_next("j4", "j3")


ORDER = ["j2", "j6", "j1", "j4", "j3", "j5"]


def test_the_queue_says_what_runs_and_what_comes_next(client: FlaskClient, seven: None) -> None:
    answer = client.get("/api/queue").json
    assert [job["job_id"] for job in answer["items"]] == ORDER and answer["next"] is None
    assert [job["position"] for job in answer["items"]] == [1, 2, 3, 4, 5, 6]
    assert (answer["paused"], answer["waiting"], len(answer["running"])) == (False, 6, 1)
    [running] = answer["running"]
    assert (running["job_id"], running["position"], running["progress"]) == ("j0", None, 0)


def test_the_queue_says_when_each_job_is_done(client: FlaskClient, seven: None) -> None:
    answer = client.get("/api/queue").json
    [first, *_, last] = [job["done_in"] for job in answer["items"]]
    assert first["seconds"] == pytest.approx(20, abs=1) and last["seconds"] == pytest.approx(70, abs=1)
    assert answer["done_in"] == last and 0 < last["low"] <= last["seconds"] <= last["high"]
    assert answer["running"][0]["done_in"]["seconds"] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_the_parts_are_the_whole(client: FlaskClient, seven: None, limit: int) -> None:
    items: list[Any] = []
    url = f"/api/queue?limit={limit}"
    while url:
        answer = client.get(url).json
        items, url = items + answer["items"], answer["next"]
        assert len(answer["items"]) <= limit
    assert [(job["job_id"], job["position"]) for job in items] == list(zip(ORDER, range(1, 7), strict=True))


def test_a_part_begins_behind_the_last_job_of_the_one_before(client: FlaskClient, seven: None) -> None:
    following = client.get("/api/queue?limit=2").json["next"]
    claimed = [jobs.claim("w") for _ in range(2)]
    answer = client.get(following).json
    assert [job and job.job_id for job in claimed] == ORDER[:2]
    assert [(job["job_id"], job["position"]) for job in answer["items"]] == [("j1", 1), ("j4", 2)]


def test_positions_are_counted_up_to_a_number(
    client: FlaskClient, seven: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = client.get("/api/queue?limit=4").json["next"]
    monkeypatch.setattr(queue, "COUNTED", 4)
    assert [job["position"] for job in client.get(following).json["items"]] == [None, None]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "cursor=WyJxdWV1ZSIsICIxIDIiLCAiYSJd", "q=a"])
def test_a_wrong_part_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/queue?{query}").status_code in (400, 422)


def test_an_empty_queue(client: FlaskClient) -> None:
    empty = {"paused": False, "waiting": 0, "done_in": None, "running": [], "items": [], "next": None}
    assert client.get("/api/queue").json == empty


@pytest.mark.usefixtures("ledger", "many")
def test_a_part_and_a_position_read_few_index_entries_of_many_jobs() -> None:
    place = waiting.place_of("j99998")
    assert place is not None and place.job_id == "j99998"
    for read in (lambda: waiting.page(place, 50), lambda: waiting.page(None, 50)):
        for plan in plans(read):
            assert "job_claim" in plan and "SCAN job'" not in plan and "TEMP B-TREE" not in plan, plan
            assert "Seq Scan on job" not in plan, plan
    assert waiting.count_before(place, 10_000) == 10_000
    assert waiting.count_before(Place(2, "0", ""), 10_000) == 0
