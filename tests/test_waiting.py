"""Requests that wait: until something is there, until time is up, or until the process is to end."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from access.shares import Limit
from database import release_connection
from errors import Busy
from files.bundles import Bundle
from models import Job
from records.waits import HAS_LEFT, Wait
from repos import JobRepository
from web import waiting
from web.current import services

AN_HOUR = 3600  # longer than any test may take


@pytest.fixture(autouse=True)
def in_context(app: Flask) -> Iterator[None]:
    """Each test runs as a request of the app does."""
    with app.test_request_context():
        yield


def wait_for(look: Callable[[], Any], seconds: float) -> Any:
    """The result of look() that the response is made of."""
    found: list[Any] = []

    def answer(result: Any) -> Response:
        found.append(result)
        return Response()

    waiting.answer_when(look, seconds, answer)
    return found.pop()


def test_what_is_there_is_answered_at_once() -> None:
    assert wait_for(lambda: "job", 20) == "job"


def test_what_comes_later_is_waited_for() -> None:
    answers: list[Any] = [None, None, "job"]
    assert wait_for(lambda: answers.pop(0), 20) == "job"


def test_waiting_ends_with_its_time() -> None:
    assert wait_for(lambda: None, 0) is None
    assert wait_for(lambda: None, 0.15) is None


def test_waiting_ends_with_the_process() -> None:
    threading.Timer(0.1, services().stopping.set).start()
    assert wait_for(lambda: None, AN_HOUR) is None


def test_too_many_do_not_wait() -> None:
    services().limits.waits = Limit(1, "waits")
    services().limits.waits.take("")
    assert wait_for(lambda: None, 20) is None


def later(act: Callable[[], Any]) -> threading.Timer:
    """Do something from another thread in a moment."""

    def run() -> None:
        act()
        release_connection()

    timer = threading.Timer(0.2, run)
    timer.start()
    return timer


def test_a_claim_that_waits_answers_as_soon_as_there_is_something(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", AN_HOUR)
    feed, changes_seen = services().feed, []
    wait_for_change = feed.wait_for_change

    def spy(seen: int, seconds: float) -> int:
        changes_seen.append(wait_for_change(seen, seconds) - seen)
        return seen + changes_seen[-1]

    monkeypatch.setattr(feed, "wait_for_change", spy)
    timer = later(lambda: JobRepository().create(prompt="p"))
    answer = client.post("/api/jobs/claim", json={"worker": "w", "wait": 20})
    timer.join()
    assert answer.status_code == 200 and changes_seen[-1] > 0  # the change woke it, not the end of its time


def test_a_change_that_comes_before_the_feed_is_ready_is_not_missed(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", AN_HOUR)
    looks = itertools.count(1)

    def look() -> Job | None:
        job = Job.get_or_none()
        if next(looks) == 1:  # after its first look, and before anything watches
            JobRepository().create(prompt="p")
        return job

    assert wait_for(look, AN_HOUR)


def test_a_request_prefers_to_wait_until_the_job_is_final(client: FlaskClient, job: Job) -> None:
    timer = later(lambda: JobRepository().update("job-1", status="completed"))
    answer = client.get("/api/jobs/job-1", headers={"Prefer": "respond-async, Wait=20; strict"})
    timer.join()
    assert (answer.json["status"], answer.headers["Preference-Applied"]) == ("completed", "wait=20")
    assert client.get("/api/jobs/job-1", headers={"Prefer": "wait=999"}).headers["Preference-Applied"] == "wait=60"
    etag = {"If-None-Match": answer.headers["ETag"], "Prefer": "wait=5"}
    assert client.get("/api/jobs/job-1", headers=etag).status_code == 304


def test_a_new_job_can_be_waited_for(client: FlaskClient) -> None:
    timer = later(lambda: JobRepository().update("new", status="failed", error="no voice"))
    body = {"job_id": "new", "prompt": "p"}
    answer = client.post("/api/jobs", json=body, headers={"Prefer": 'wait="20"'})
    timer.join()
    assert (answer.status_code, answer.json["status"], answer.json["error"]) == (201, "failed", "no voice")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert client.post("/api/jobs", json=body, headers={"Prefer": "wait=20"}).status_code == 200


def test_the_job_is_answered_as_it_is_when_time_is_up(client: FlaskClient, job: Job) -> None:
    answer = client.get("/api/jobs/job-1", headers={"Prefer": "wait=1"})
    assert (answer.json["status"], answer.headers["Preference-Applied"]) == ("pending", "wait=1")


def test_a_job_that_goes_while_it_is_waited_for_is_not_found(client: FlaskClient, job: Job) -> None:
    timer = later(lambda: JobRepository().delete("job-1"))
    assert client.get("/api/jobs/job-1", headers={"Prefer": "wait=20"}).status_code == 404
    timer.join()


@pytest.mark.parametrize(
    "prefer",
    ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=x", "wait=٣", "wait=x, wait=20", "waits=20", ",;=", "\xff"],
)
def test_a_preference_that_cannot_be_read_is_ignored(
    client: FlaskClient, job: Job, prefer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "answer_when", lambda *_, **__: pytest.fail("it waits"))
    answer = client.get("/api/jobs/job-1", headers={"Prefer": prefer.encode().decode("latin-1")})
    assert (answer.status_code, answer.headers.get("Preference-Applied")) == (200, None)


def test_a_preference_is_not_said_to_be_applied_when_too_many_wait(client: FlaskClient, job: Job) -> None:
    services().limits.waits = Limit(1, "waits")
    services().limits.waits.take("")
    answer = client.get("/api/jobs/job-1", headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.headers.get("Preference-Applied")) == (200, None)


# --- the body that a future has


def bundle() -> Bundle:
    """An archive that notes whether it was closed."""
    return Bundle([], [Mock()])


def is_closed(body: Any) -> bool:
    """True if the texts of an archive are closed."""
    return bool(body._texts[0].close.called)


def wait_for_body(app: Flask, future: Future[Bundle]) -> Wait:
    """What a server that waits without a thread gets for the future."""
    with app.test_request_context(environ_overrides={HAS_LEFT: bool}):
        body: Any = waiting.when_done(future, 60, lambda bundle: Response(bundle, direct_passthrough=True)).response
    assert isinstance(body, Wait)
    return body


def test_a_body_whose_client_has_left_is_closed(app: Flask) -> None:
    running, queued = Future[Bundle](), Future[Bundle]()
    assert running.set_running_or_notify_cancel()
    for future in (running, queued):
        wait_for_body(app, future).close()
    made = bundle()
    running.set_result(made)
    assert is_closed(made) and queued.cancelled()


def test_a_body_that_is_sent_is_not_closed_before(app: Flask) -> None:
    future = Future[Bundle]()
    wait = wait_for_body(app, future)
    assert wait.attempt(False) is None
    future.set_result(made := bundle())
    response = wait.attempt(False)
    wait.close()
    assert response.response is made and not is_closed(made)


@pytest.mark.parametrize("environ", [{}, {HAS_LEFT: bool}])
def test_a_body_that_takes_too_long_is_refused_and_closed(app: Flask, environ: Any) -> None:
    future = Future[Bundle]()
    with app.test_request_context(environ_overrides=environ), pytest.raises(Busy):
        waiting.when_done(future, 0, Response)
    assert future.cancelled()


def test_the_last_attempt_to_send_a_body_refuses_it(app: Flask) -> None:
    future = Future[Bundle]()
    wait = wait_for_body(app, future)
    assert wait.attempt(True).status_code == 503 and future.cancelled()
    wait.close()
