"""The order of the queue: moved jobs, for any number of moves, at one cost, on both databases."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from peewee import IntegrityError, OperationalError

from database import database, init_database, release, release_connection
from database.queue import DIGITS
from errors import Invalid, WrongStatus
from models import Event, Job
from records.moves import between
from repos import JobRepository
from settings import Settings
from tests.conftest import on_postgresql
from tests.test_queue import locked as locked
from tests.test_queue import many as many
from tests.test_queue import plans

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")
PLACES = st.from_regex(r"\A[1-9][0-9]{17,30}\Z")


@pytest.fixture
def abc(ledger: Settings) -> None:
    """The jobs a, b, c and d, in this order."""
    for job_id in "abcd":
        jobs.create(job_id=job_id, prompt="p")


def order() -> str:
    """The ids of the pending jobs, in the order in which they would be claimed; they are released again."""
    claimed: list[Any] = []
    while job := jobs.claim("w"):
        claimed.append(job)
    for job in claimed:
        jobs.release(job.job_id, job.lease_token)
    return "".join(job.job_id for job in claimed)


@pytest.mark.parametrize(
    ("moves", "after"),
    [
        ([("c", None)], "cabd"),
        ([("c", None), ("d", None)], "dcab"),
        ([("d", "b")], "adbc"),
        ([("a", "d")], "bcad"),
        ([("d", "b"), ("c", "b")], "adcb"),
        ([("d", "b"), ("c", "d")], "acdb"),
        ([("b", "a")], "bacd"),
        ([("a", None), ("b", "c"), ("c", "c")], "abcd"),
    ],
)
def test_a_job_is_put_before_another_one(abc: None, moves: list[Any], after: str) -> None:
    for job_id, before in moves:
        moved = jobs.make_next(job_id, before)
        assert moved is not None and moved.job_id == job_id
    assert order() == after


def test_a_job_that_is_there_already_is_not_changed(abc: None) -> None:
    jobs.make_next("c")
    jobs.make_next("d", "b")
    before, events = order(), Event.select().count()
    versions = {job.job_id: job.version for job in Job.select()}
    for job_id, other in (("c", None), ("c", "c"), ("d", "b"), ("c", "a")):
        jobs.make_next(job_id, other)
    assert {job.job_id: job.version for job in Job.select()} == versions
    assert Event.select().count() == events and order() == before


def test_a_job_gets_the_priority_of_the_one_that_it_goes_before(abc: None) -> None:
    jobs.update("a", priority=5)
    jobs.update("d", priority=-3)
    assert [jobs.make_next("d"), jobs.make_next("a", "c")] and order() == "dbac"
    assert {job.job_id: job.priority for job in Job.select()} == {"a": 0, "b": 0, "c": 0, "d": 5}


def test_the_order_is_kept_when_the_database_is_opened_again(abc: None, ledger: Settings) -> None:
    jobs.make_next("d", "b")
    release()
    init_database(ledger)
    assert order() == "adbc"


def test_a_move_is_one_event_of_the_moved_job_alone(abc: None) -> None:
    last = Event.select().count()
    jobs.make_next("d", "b")
    assert [(event.entity_id, event.change) for event in Event.select().offset(last)] == [("d", "updated")]


def test_only_pending_jobs_are_moved(abc: None) -> None:
    claimed = jobs.claim("w")
    jobs.cancel("b")
    assert claimed is not None and claimed.job_id == "a"
    for job_id, before in (("a", None), ("b", None), ("a", "c"), ("c", "a"), ("c", "b")):
        with pytest.raises(WrongStatus, match="only pending jobs have a place"):
            jobs.make_next(job_id, before)
    with pytest.raises(Invalid, match="no job nobody"):
        jobs.make_next("c", "nobody")
    assert jobs.make_next("nobody") is None and jobs.make_next("nobody", "c") is None


def test_jobs_of_one_moment_have_others_put_before_all_of_them(abc: None) -> None:
    Job.update(created_at=10**15).where(Job.job_id != "d").execute()
    jobs.make_next("d", "c")
    assert order() == "dabc"


def test_a_job_of_the_first_moment_can_have_others_before_it(abc: None) -> None:
    Job.update(created_at=0).where(Job.job_id == "a").execute()
    for job_id in "bcd":
        jobs.make_next(job_id)
    assert order() == "dcba"


def test_a_thousand_moves_before_one_job_keep_their_order(ledger: Settings) -> None:
    for number in range(40):
        jobs.create(job_id=f"{number:02}", prompt="p")
    made = [f"{number:02}" for number in range(40)]
    choose = random.Random(18)
    for _ in range(1000):
        job_id, other = choose.choice(made), choose.choice(made[:3])
        if job_id != other:
            made.remove(job_id)
            made.insert(made.index(other), job_id)
        jobs.make_next(job_id, other)
    assert order() == "".join(made)
    assert max(len(place) for (place,) in Job.select(Job.place).tuples() if place) < 400


@given(PLACES, PLACES)
@pytest.mark.parametrize("kind", ["sqlite"])
def test_between_two_places_there_is_a_short_one(kind: str, first: str, second: str) -> None:
    low, high = sorted((first.ljust(DIGITS, "0").rstrip("0").ljust(DIGITS, "0"), second))
    if Decimal(f"0.{low}") == Decimal(f"0.{high}"):
        return
    middle = between(low, high)
    assert low < middle < high and len(middle) <= max(len(low), len(high)) + 1
    assert len(middle) == DIGITS or middle[-1] != "0"


@pytest.mark.parametrize("place", ["17", "1" * 17, "1" * 17 + "x", "-" + "1" * 18])
def test_the_database_refuses_other_places(abc: None, place: str) -> None:
    with pytest.raises(IntegrityError):
        database.execute_sql(f"UPDATE job SET place = '{place}' WHERE job_id = 'a'")


def test_a_move_reads_few_index_entries_of_many_jobs(many: None) -> None:
    for job_id, before in (("j99999", None), ("j77777", "j88888")):
        seen = plans(lambda: jobs.make_next(job_id, before))  # noqa: B023
        slow = ("SCAN job'", "TEMP B-TREE", "Seq Scan on job", "Sort  ")
        assert len(seen) <= 4 and not any(word in plan for plan in seen for word in slow), seen
        assert any("job_claim" in plan for plan in seen), seen


def test_moves_and_claims_at_once_lose_no_job(ledger: Settings, two: ThreadPoolExecutor) -> None:
    made = [f"{number:03}" for number in range(60)]
    for job_id in made:
        jobs.create(job_id=job_id, prompt="p")

    def move() -> None:
        for job_id in reversed(made):
            with suppress(WrongStatus):
                jobs.make_next(job_id)
        release_connection()

    claimed: list[str] = []
    moving = [two.submit(move) for _ in range(2)]
    while (job := jobs.claim("w")) or not all(moved.done() for moved in moving):
        claimed += [job.job_id] if job else []  # a claim skips a job that is being moved
    for moved in moving:
        moved.result()
    claimed += [job.job_id for _ in range(60) if (job := jobs.claim("w"))]
    assert sorted(claimed) == made


def test_two_moves_at_once_get_different_places(ledger: Settings, two: ThreadPoolExecutor) -> None:
    made = [f"{number:02}" for number in range(40)]
    for job_id in made:
        jobs.create(job_id=job_id, prompt="p")

    def move(ids: list[str]) -> None:
        for job_id in ids:
            jobs.make_next(job_id, "00")
        release_connection()

    for moved in [two.submit(move, made[1::2]), two.submit(move, made[2::2])]:
        moved.result()
    places = [place for (place,) in Job.select(Job.place).where(Job.job_id != "00").tuples()]
    assert len(set(places)) == 39 and order().endswith("00")


@on_postgresql
def test_a_move_waits_for_the_end_of_another(locked: Any, abc: None) -> None:
    locked.execute("SELECT one FROM queue_state FOR UPDATE")
    database.execute_sql("SET lock_timeout = '50ms'")
    with pytest.raises(OperationalError, match="lock"):
        jobs.make_next("c")
    assert jobs.claim("w").job_id == "a"


def test_rest_moves_a_job(client: FlaskClient, abc: None) -> None:
    answer = client.post("/api/jobs/c/next")
    assert (answer.status_code, answer.json["job_id"], "place" in answer.json) == (200, "c", False)
    assert client.post("/api/jobs/d/next", json={"before": "b"}).status_code == 200 and order() == "cadb"
    assert client.post("/api/jobs/nobody/next").status_code == 404
    refused = client.post("/api/jobs/d/next", json={"before": "nobody"})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "before")
    jobs.cancel("a")
    assert client.post("/api/jobs/a/next").json["code"] == "wrong_status"
