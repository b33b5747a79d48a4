"""Limits of the front, in this process: unread answers, clients that read nothing, requests ahead, and its end."""

import gc
import itertools
import socket
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from access.shares import LOOPBACK, Clients, Limit
from maintenance.traffic import Traffic
from records.handover import Handover
from records.waits import Wait
from server import connections
from server import front as limits
from server.answers import Answer
from server.bodies import BLOCK, FileBody, MemoryBody
from server.exchange import Exchange
from server.front import Site
from server.http import STALL_SECONDS, Connection
from tests.conftest import wait_for
from tests.fronts import RunningFront, StillFeed, get, post, rest, running, serving
from web.limits import is_read

SECONDS = 30
ANSWER = bytes(1_000_000)
AN_HOUR = 3600.0


class Large:
    """An app with a large answer."""

    def __init__(self) -> None:
        self.paths: SimpleQueue[str] = SimpleQueue()  # of the requests that it has begun to answer

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.paths.put(environ["PATH_INFO"])
        start("200 OK", [])
        return [ANSWER]


@pytest.fixture
def large() -> Large:
    """The app of these tests."""
    return Large()


@pytest.fixture
def front(large: Large, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningFront]:
    """A front that serves it; the test checks the connections itself."""
    monkeypatch.setattr(limits, "CHECK_SECONDS", AN_HOUR)
    with serving(large) as made:
        yield made


def slow_client(front: RunningFront, sent: bytes) -> tuple[socket.socket, Connection]:
    """A client that reads nothing, and its connection, which waits for the client."""
    client = front.open(sent)
    connection = front.connection(client)
    wait_for(lambda: not connection.is_writable, SECONDS)
    return client, connection


def test_the_clients_that_have_been_slow_for_longest_are_cut_off_when_the_memory_is_full(
    front: RunningFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNSENT_BYTES", 2_200_000)  # two answers; the system itself keeps a part of each
    clients = [slow_client(front, get()) for _ in range(4)]
    wait_for(lambda: len(front.front.connections) == 2, SECONDS)
    lengths = [len(rest(client)) > len(ANSWER) for client, connection in clients if connection.has_left]
    assert [connection.has_left for _, connection in clients] == [True, True, False, False]
    assert lengths == [False, False]
    for client, _ in clients[2:]:
        client.shutdown(socket.SHUT_WR)
        assert len(rest(client)) > len(ANSWER)


def test_a_client_that_reads_nothing_for_a_minute_is_cut_off(front: RunningFront) -> None:
    client, connection = slow_client(front, get())
    now = front.loop.time()
    front.call(connection.check, now)
    front.call(connection.check, now + STALL_SECONDS - 1)
    assert connection in front.front.connections
    front.call(connection.check, now + STALL_SECONDS + 1)
    wait_for(lambda: connection not in front.front.connections, SECONDS)
    assert len(rest(client)) < len(ANSWER)


def test_the_memory_of_a_connection_is_free_when_it_is_lost(front: RunningFront) -> None:
    client = front.open(b"GET / HTTP/1.1\r\nHost")
    connection = weakref.ref(front.connection(client))
    gc.disable()
    try:
        client.close()
        wait_for(lambda: connection() is None, SECONDS)
    finally:
        gc.enable()


def test_a_client_that_reads_a_little_stays(front: RunningFront) -> None:
    client, connection = slow_client(front, get())
    now, before = front.loop.time(), front.call(connection.unsent)
    front.call(connection.check, now)
    received = 0
    while front.call(connection.unsent) == before:
        received += len(client.recv(10_000))
    front.call(connection.check, now + STALL_SECONDS - 1)
    front.call(connection.check, now + 2 * STALL_SECONDS - 2)
    client.shutdown(socket.SHUT_WR)
    assert received + len(rest(client)) > len(ANSWER)


def test_the_next_request_is_answered_when_the_client_has_read_the_answers_before_it(
    front: RunningFront, large: Large
) -> None:
    client, _ = slow_client(front, get("/one") + get("/two") + get("/three"))
    wait_for(lambda: not front.front.is_busy(), SECONDS)
    assert large.paths.get(timeout=SECONDS) == "/one" and large.paths.empty()
    client.shutdown(socket.SHUT_WR)
    assert len(rest(client)) > len(ANSWER)


def test_no_more_than_64_kilobytes_are_read_ahead_of_an_answer(front: RunningFront, large: Large) -> None:
    client, connection = slow_client(front, get("/first"))
    head = get().removesuffix(b"\r\n") + b"X-Long: %s\r\n\r\n" % (b"a" * 60_000)
    client.sendall(head * 20)
    wait_for(lambda: connection.transport.is_reading() is False, SECONDS)
    front.call(connection.check, front.loop.time() + STALL_SECONDS - 1)
    assert read_answers(client, 21) == [len(ANSWER)] * 21


def read_answers(client: socket.socket, count: int) -> list[int]:
    """The lengths of so many large answers."""
    lengths = []
    with client.makefile("rb") as file:
        for _ in range(count):
            while file.readline().strip():
                pass
            lengths.append(len(file.read(len(ANSWER))))
    return lengths


def test_a_body_in_small_parts_takes_hardly_more_memory_than_its_bytes() -> None:
    body = MemoryBody(Limit(1_000_000, "bytes"), "")
    parts = [b"%03d" % (number % 1000) for number in range(100_000)]
    tracemalloc.start()
    try:
        assert all(body.add(part[:2] + part[2:]) for part in parts)
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def test_the_file_of_a_body_is_deleted_when_a_stop_cuts_off_its_client(tmp_path: Path) -> None:
    feed: Any = StillFeed()
    site = Site(Large(), lambda _: 10_000_000, is_read, lambda _: False, lambda: tmp_path / "body", feed, Traffic(), 1)
    with running(site) as front:
        front.open(post("/", bytes(2_000_000))[:-1])
        wait_for((tmp_path / "body").exists, SECONDS)
        front.run(front.front.close(SECONDS))
        assert not (tmp_path / "body").exists()


def test_slow_uploads_hold_up_no_other_upload(tmp_path: Path) -> None:
    feed: Any = StillFeed()
    names = map(str, itertools.count())
    upload = post("/", bytes(1_100_000))
    head = upload.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    site = Site(
        Large(), lambda _: 10_000_000, is_read, lambda _: False, lambda: tmp_path / next(names), feed, Traffic(), 1
    )
    with running(site) as front:
        for _ in range(200):
            front.open(head)
        wait_for(lambda: len(front.front.connections) == 200, SECONDS)
        assert front.open(upload).recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_discarded_while_a_thread_writes_it_leaves_no_file(tmp_path: Path) -> None:
    tasks: list[Any] = []
    lane: Any = SimpleNamespace(submit=lambda work, then: tasks.append((work, then)))
    body = FileBody(tmp_path / "body", lane, Limit(1, "files"), "")
    body.pause = lambda _: None
    body.add(bytes(BLOCK))
    body.discard()
    while tasks:  # the newest task first, as two threads may do them
        work, then = tasks.pop()
        then(work())
    assert not (tmp_path / "body").exists()


class Waiting:
    """An app whose answer waits for a future."""

    def __init__(self) -> None:
        self.future: Future[None] = Future()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Wait:
        start("200 OK", [])
        return Wait(AN_HOUR, lambda is_last: no_content if is_last else None, lambda: None, future=self.future)


def no_content(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """The app of an answer without a body."""
    start("204 No Content", [])
    return []


def waiting(front: RunningFront) -> tuple[socket.socket, Exchange]:
    """A client that waits, and its exchange."""
    client = front.open(get())
    exchanges = front.connection(client)._exchanges
    wait_for(lambda: exchanges and exchanges[0].sender, SECONDS)
    return client, exchanges[0]


def test_a_file_that_is_made_after_the_end_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = Waiting()
    with serving(app) as front:
        waiting(front)
    app.future.set_result(None)
    assert caplog.records == []


def test_a_claim_is_given_back_if_its_connection_has_just_been_cut() -> None:
    is_given_back = threading.Event()
    with serving(Waiting()) as front:
        _, exchange = waiting(front)

        def cut_and_answer() -> None:
            exchange.cut()
            exchange.answer(Answer("200 OK", [], Handover(b"job", is_given_back.set)))

        front.call(cut_and_answer)
        assert is_given_back.wait(SECONDS)


def test_writes_that_wait_for_the_disk_hold_up_no_read() -> None:
    is_quick = threading.Event()

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        assert environ["REQUEST_METHOD"] == "GET" or is_quick.wait(SECONDS)
        start("200 OK", [])
        return [b"done"]

    with serving(app) as front:
        writers = [front.open(post("/", b"{}")) for _ in range(9)]
        assert front.open(get()).recv(100).startswith(b"HTTP/1.1 200")
        is_quick.set()
        assert all(writer.recv(100).startswith(b"HTTP/1.1 200") for writer in writers)


def test_the_slow_clients_are_not_all_counted_for_each_new_one() -> None:
    class Slow:
        """A connection of a client that has 100 KB to read."""

        client, looks = "", 0

        def unsent(self) -> int:
            Slow.looks += 1
            return 100_000

    made = connections.Connections(1000, Clients(LOOPBACK))
    for _ in range(500):
        made.has_become_slow(Slow())  # type: ignore[arg-type]
    assert len(made.slow) == 500 and Slow.looks < 500 * 500 / 2 / 5
