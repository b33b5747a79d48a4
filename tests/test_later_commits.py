"""Answers to writes that wait for the commit of their group, while their threads go on."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cysqlite
import pytest
from flask import Flask
from peewee import OperationalError

from database import commit_in_groups, database
from database.groups import committing_later
from models import Job, Loop, Track
from records.waits import HAS_LEFT
from repos import JobRepository
from server import bridge
from server.answers import Answer
from server.bridge import Uncommitted
from server.lanes import Lane
from tests.conftest import on_sqlite
from tests.test_bridge import environ

jobs = JobRepository()
pytestmark = [on_sqlite, pytest.mark.usefixtures("groups")]


@pytest.fixture
def groups(app: Flask) -> None:
    """The app commits in groups, as in a web process."""
    commit_in_groups()


def ask(app: Flask, method: str, path: str, body: dict[str, Any], **headers: str) -> Answer | Uncommitted:
    """What the bridge gets for a request of a server that can wait for a commit."""
    request = environ(method, path.encode(), json.dumps(body).encode(), **headers)
    return bridge.ask(app.wsgi_app, {**request, HAS_LEFT: bool})


def create(app: Flask, **headers: str) -> Answer | Uncommitted:
    """The same for a POST of the job a."""
    return ask(app, "POST", "/api/jobs", {"job_id": "a", "prompt": "rain"}, **headers)


@contextmanager
def another_waits() -> Iterator[None]:
    """A block in which transactions leave their commit to a thread that waits for its turn."""
    database.obj._groups._waiting += 1
    yield
    database.obj._groups._waiting -= 1


def uncommitted(app: Flask) -> tuple[Uncommitted, list[Answer]]:
    """The answer to a create whose group is not committed yet, and a list that gets the answer when it may be sent."""
    with another_waits():
        answer, sent = create(app), []
    assert isinstance(answer, Uncommitted) and not answer.commit.group.is_done
    answer.then(sent.append)
    assert sent == [] and jobs.get_by_id("a") is None
    return answer, sent


def test_an_answer_waits_for_the_commit_and_its_thread_does_not(app: Flask) -> None:
    _, sent = uncommitted(app)
    jobs.create(job_id="b", prompt="p")
    assert [answer.status for answer in sent] == ["201 CREATED"]
    assert jobs.get_by_id("a") is not None


def test_if_the_commit_fails_the_answer_is_a_refusal(app: Flask) -> None:
    _, sent = uncommitted(app)
    with pytest.raises(OperationalError), database.atomic():
        database.connection().execute("ROLLBACK")  # as SQLite does by itself when the disk is full
    assert [answer.status for answer in sent] == ["503 SERVICE UNAVAILABLE"]
    assert b"send this again" in sent[0].body and jobs.get_by_id("a") is None


def test_a_repetition_is_answered_after_the_commit_of_the_first_request(app: Flask) -> None:
    _, first = uncommitted(app)
    with another_waits():
        again, other = create(app), ask(app, "POST", "/api/jobs", {"job_id": "a", "prompt": "other"})
    assert isinstance(again, Uncommitted) and isinstance(other, Uncommitted) and first == []
    jobs.create(job_id="b", prompt="p")
    assert [first[0].status, again.answer.status, other.answer.status] == ["201 CREATED", "200 OK", "409 CONFLICT"]


def test_every_plain_write_may_be_answered_later(app: Flask, track: Track, loop: Loop) -> None:
    writes = [("POST", "/api/jobs", {"prompt": "p"}), ("PATCH", "/api/jobs/job-1", {"progress": 1})]
    writes += [("POST", "/api/tracks", {"job_id": "job-1"}), ("PATCH", "/api/tracks/track-1", {"duration": 2})]
    writes += [("POST", "/api/jobs/job-1/tracks", {}), ("PATCH", "/api/loops/loop-1", {"progress": 1})]
    writes += [("POST", "/api/loops", {"track_id": "track-1", "duration": 2})]
    writes += [("POST", "/api/tracks/track-1/loops", {"duration": 2})]
    with another_waits():
        answers = [ask(app, *write) for write in writes]
    jobs.create(prompt="p")
    assert all(isinstance(answer, Uncommitted) and answer.answer.status[:2] == "20" for answer in answers)


def test_a_request_that_prefers_to_wait_is_committed_first(app: Flask) -> None:
    assert isinstance(create(app, Prefer="wait=0"), Answer) and jobs.get_by_id("a") is not None


def test_another_server_gets_the_answer_after_the_commit(app: Flask) -> None:
    request = environ("POST", b"/api/jobs", b'{"job_id": "a", "prompt": "rain"}')
    assert isinstance(bridge.ask(app.wsgi_app, request), Answer) and jobs.get_by_id("a") is not None


def test_a_thread_sends_its_result_to_the_loop_after_the_commit(app: Flask) -> None:
    loop = asyncio.new_event_loop()
    lane, delivered = Lane("test", 1, loop), []
    with another_waits():
        lane.submit(lambda: create(app), delivered.append)
        lane.submit(lambda: "next", delivered.append)
        run_until(loop, lambda: delivered == ["next"])
    jobs.create(job_id="b", prompt="p")
    run_until(loop, lambda: len(delivered) == 2)
    assert delivered[1].status == "201 CREATED"
    lane.close()
    loop.close()


def run_until(loop: asyncio.AbstractEventLoop, condition: Callable[[], bool]) -> None:
    """Run the loop until the condition is true."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    loop.run_until_complete(asyncio.wait_for(wait(), 10))


class FullDisk:
    """A connection to SQLite whose commits find no room, as it looks with WAL."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        """Run a statement other than COMMIT."""
        if sql == "COMMIT":
            raise cysqlite.OperationalError("database or disk is full (code=13, ext=13)")
        return self._connection.execute(sql, *values)


def test_a_disk_that_is_full_at_the_commit_is_answered_507(app: Flask) -> None:
    jobs.create(job_id="first", prompt="p")
    database.obj._groups._connection = FullDisk(database.obj._groups._connection)
    answer, sent = create(app), []
    assert isinstance(answer, Uncommitted)
    answer.then(sent.append)
    assert sent[0].status == "507 INSUFFICIENT STORAGE" and jobs.get_by_id("a") is None


def test_a_refusal_waits_for_the_commit_of_what_it_is_about(app: Flask, job: Job) -> None:
    with another_waits():
        with committing_later():
            jobs.delete("job-1")
        answer = ask(app, "POST", "/api/tracks", {"job_id": "job-1"})
    jobs.create(prompt="p")
    assert isinstance(answer, Uncommitted) and answer.answer.status[:3] == "422"


def test_a_callback_that_fails_does_not_stop_the_others(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with another_waits(), committing_later() as group:
        jobs.create(job_id="b", prompt="p")
        pending, called = group(), []
    pending.then(lambda: 1 // 0)
    pending.then(lambda: called.append(True))
    assert jobs.create(job_id="c", prompt="p") and called == [True] and "ZeroDivisionError" in caplog.text
