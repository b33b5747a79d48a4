"""Claims that wait: none of them misses work, whatever happens to the others, and none loses it at a stop."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPException
from queue import SimpleQueue
from typing import Any

import pytest
from flask import Flask

from models import Job
from records.waits import Wait
from repos import JobRepository, set_paused
from settings import Settings
from tests.conftest import Server, wait_for
from tests.fronts import RunningFront, get, post, rest, serving, serving_flask
from tests.service import Caller, accepted

SECONDS = 30
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets the connection
CLAIM = post("/api/jobs/claim", b'{"worker": "w", "wait": 30}')


class Claims:
    """An app for claims that wait. Each attempt takes one piece of work, and needs a permission of the test to end."""

    def __init__(self) -> None:
        self.work: deque[str] = deque()
        self.attempts: SimpleQueue[str] = SimpleQueue()  # the path of each attempt that has begun
        self.permissions = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Wait:
        start("200 OK", [])
        attempt = partial(self.attempt, environ["PATH_INFO"])
        return Wait(3600, attempt, lambda: None, claim_of=("job", frozenset()))

    def attempt(self, path: str, is_last: bool) -> Callable[..., Iterable[bytes]] | None:
        """A response with a piece of work; without one None, or 204 at the last attempt."""
        work = self.work.popleft() if self.work else None
        self.attempts.put(path)
        self.permissions.acquire(timeout=SECONDS)
        if work is not None:
            return text("200 OK", work)
        return text("204 No Content", "") if is_last else None


def text(status: str, content: str) -> Callable[..., Iterable[bytes]]:
    """An app with this response."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, [])
        return [content.encode()]

    return app


@pytest.fixture
def claims() -> Claims:
    """The app of a test without a database."""
    return Claims()


@pytest.fixture
def front(claims: Claims) -> Iterator[RunningFront]:
    """A front that serves that app."""
    with serving(claims) as running:
        yield running
        claims.permissions.release(100)


def waiting(front: RunningFront, claims: Claims, path: str) -> socket.socket:
    """A client whose claim has attempted once, and waits."""
    client = front.open(get(path))
    assert claims.attempts.get(timeout=SECONDS) == path
    claims.permissions.release()
    return client


def test_an_event_during_an_attempt_leads_to_another_attempt(front: RunningFront, claims: Claims) -> None:
    client = front.open(get("/one"))
    assert claims.attempts.get(timeout=SECONDS) == "/one"  # the attempt has begun: it may have seen no work
    front.feed.publish()
    front.call(lambda: None)  # the event has arrived in the loop
    claims.work.append("job")
    claims.permissions.release(2)
    assert client.recv(1000).endswith(b"job")


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_claim_whose_client_leaves_during_its_attempt_gives_its_turn_to_the_next(
    front: RunningFront, claims: Claims, is_reset: bool
) -> None:
    first, second = waiting(front, claims, "/one"), waiting(front, claims, "/two")
    connection = front.connection(first)
    front.feed.publish()
    assert claims.attempts.get(timeout=SECONDS) == "/one"
    first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE if is_reset else bytes(8))
    first.close()
    wait_for(lambda: connection.has_left, SECONDS)
    claims.work.append("job")
    claims.permissions.release(2)
    assert second.recv(1000).endswith(b"job")


def test_a_claim_that_got_work_gives_its_turn_to_the_next(front: RunningFront, claims: Claims) -> None:
    clients = [waiting(front, claims, path) for path in ("/one", "/two", "/three")]
    claims.work.extend(["first job", "second job", "third job"])
    claims.permissions.release(3)
    front.feed.publish()  # one event for all the work
    assert [client.recv(1000).rpartition(b"\n")[2] for client in clients] == [b"first job", b"second job", b"third job"]
    assert [claims.attempts.get(timeout=SECONDS) for _ in range(3)] == ["/one", "/two", "/three"]


@pytest.fixture
def flask_front(app: Flask) -> Iterator[RunningFront]:
    """A front that serves the Flask app."""
    with serving_flask(app) as running:
        yield running


def stop(front: RunningFront, app: Flask) -> None:
    """Begin to stop, as a web process does after SIGTERM."""
    app.extensions["ledger"].stopping.set()
    front.call(front.front.stop)


class Gate:
    """Where a thread waits until the test opens it."""

    def __init__(self) -> None:
        self.is_reached, self.is_open = threading.Event(), threading.Event()
        self.must_hold_all = False  # True: also what has found no work

    def hold_back(self, result: Any) -> Any:
        """The result, when the gate is open."""
        if result is None and not self.must_hold_all:
            return result
        self.is_reached.set()
        self.is_open.wait(SECONDS)
        return result


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Holds back all claims when the database has made them, and before they are answered."""
    made = Gate()
    claim = JobRepository.claim
    monkeypatch.setattr(JobRepository, "claim", lambda *arguments: made.hold_back(claim(*arguments)))
    yield made
    made.is_open.set()


def claim_that_waits(front: RunningFront) -> socket.socket:
    """A client whose claim has found no job, and waits."""
    client = front.open(CLAIM)
    connection = front.connection(client)
    wait_for(lambda: connection._exchanges and connection._exchanges[0].sender, SECONDS)
    return client


def claim_in_flight(front: RunningFront, gate: Gate, has_waited: bool) -> socket.socket:
    """A client whose claim has leased job-1, and is not answered yet."""
    if has_waited:
        client = claim_that_waits(front)
        JobRepository().create(job_id="job-1", prompt="rain")
    else:
        JobRepository().create(job_id="job-1", prompt="rain")
        client = front.open(CLAIM)
    assert gate.is_reached.wait(SECONDS)
    wait_for(lambda: is_leased("job-1"), SECONDS)
    return client


def is_leased(job_id: str) -> bool:
    """True while a job is leased. If it was given back, it is as before."""
    job = JobRepository().get_by_id(job_id)
    assert job.lease_token or (job.status, job.attempts) == ("pending", 0)
    return job.lease_token is not None


def test_a_claim_that_waits_at_a_stop_ends_with_204(flask_front: RunningFront, app: Flask) -> None:
    client = claim_that_waits(flask_front)
    stop(flask_front, app)
    assert rest(client).startswith(b"HTTP/1.1 204 ")


def test_a_claim_that_waits_wakes_when_the_queue_goes_on(flask_front: RunningFront) -> None:
    set_paused(True)
    JobRepository().create(job_id="job-1", prompt="rain")
    client = claim_that_waits(flask_front)
    set_paused(False)
    assert b'"job-1"' in client.recv(65536)


def test_a_claim_that_begins_to_wait_during_a_stop_ends_with_204(
    flask_front: RunningFront, app: Flask, gate: Gate
) -> None:
    gate.must_hold_all = True
    client = flask_front.open(CLAIM)
    assert gate.is_reached.wait(SECONDS)
    stop(flask_front, app)
    gate.is_open.set()
    assert rest(client).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("has_waited", [False, True])
def test_a_claim_in_flight_at_a_stop_is_delivered(
    flask_front: RunningFront, app: Flask, gate: Gate, has_waited: bool
) -> None:
    client = claim_in_flight(flask_front, gate, has_waited)
    stop(flask_front, app)
    gate.is_open.set()
    answer = rest(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert JobRepository().get_by_id("job-1").lease_token.encode() in answer


@pytest.mark.parametrize("has_waited", [False, True])
def test_a_claim_in_flight_at_a_stop_is_given_back_if_its_client_has_gone(
    flask_front: RunningFront, app: Flask, gate: Gate, has_waited: bool
) -> None:
    client = claim_in_flight(flask_front, gate, has_waited)
    connection = flask_front.connection(client)
    client.close()
    wait_for(lambda: connection.has_left, SECONDS)
    stop(flask_front, app)
    gate.is_open.set()
    wait_for(lambda: not is_leased("job-1"), SECONDS)


@pytest.mark.parametrize("has_waited", [False, True])
def test_a_claim_that_a_stop_cuts_off_is_given_back_before_the_process_ends(
    flask_front: RunningFront, app: Flask, gate: Gate, has_waited: bool
) -> None:
    client = claim_in_flight(flask_front, gate, has_waited)
    connection = flask_front.connection(client)
    stop(flask_front, app)
    closing = asyncio.run_coroutine_threadsafe(flask_front.front.close(SECONDS), flask_front.loop)
    wait_for(lambda: connection not in flask_front.front.connections, SECONDS)
    gate.is_open.set()
    closing.result(2 * SECONDS)
    assert not is_leased("job-1")


def test_after_sigterm_every_job_that_is_leased_was_delivered_to_its_client(
    ledger: Settings, server: Callable[..., Server]
) -> None:
    running = server(DATABASE_URL=ledger.database_url).start()
    for number in range(300):
        JobRepository().create(job_id=f"job-{number}", prompt="rain")
    tokens: deque[str] = deque()
    with ThreadPoolExecutor(8) as clients:
        ends = [clients.submit(claim_until_the_end, running, tokens) for _ in range(8)]
        wait_for(lambda: len(tokens) > 30, 30)
        running.process.terminate()
        assert running.process.wait(20) == 0
    assert all(end.exception() is None for end in ends)
    leased = [job.lease_token for job in Job.select() if job.lease_token]
    assert len(leased) < 300 and sorted(leased) == sorted(tokens)


def claim_until_the_end(running: Server, tokens: deque[str]) -> None:
    """Claim one job after another, until the service no longer answers."""
    with closing(Caller(running.port)) as call, suppress(OSError, HTTPException):
        while True:
            tokens.append(accepted(call("POST", "/api/jobs/claim", {"worker": "w"}))["lease_token"])
