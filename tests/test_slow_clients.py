"""Clients that are slow, stall or leave: each gets its limit, and none of them holds up another."""

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conftest import Server, wait_for
from tests.service import UNMEASURED, lines_with

HOST = b"Host: 127.0.0.1\r\n"
SLOW_BODY = b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Content-Length: 60000\r\n\r\ntoken"
AUDIO = b"GET /api/tracks/t/audio HTTP/1.1\r\n" + HOST + b"\r\n"
SONG = bytes(20_000_000)


@pytest.fixture
def opened() -> Iterator[Callable[[int, bytes], socket.socket]]:
    """Opens connections that send these bytes and read nothing; closes them afterwards."""
    with ExitStack() as stack:

        def open_connection(port: int, sent: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.sendall(sent)
            return connection

        yield open_connection


def with_song(running: Server) -> None:
    """Give a server the job j with the track t and its sound."""
    (running.storage / "song.wav").write_bytes(SONG)
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t", "file_path_wav": "song.wav"})


def test_slow_bodies_and_stalled_readers_hold_up_nobody(server: Callable[..., Server], opened: Any) -> None:
    running = server(**UNMEASURED).start()
    with_song(running)
    before = running.memory()
    for _ in range(200):
        opened(running.port, SLOW_BODY)
        opened(running.port, AUDIO)
        opened(running.port, b"GET /healthz HTTP/1.1\r\nHost")
    assert running.call("POST", "/api/jobs", {"prompt": "p"})[0] == 201
    assert running.call("GET", "/api/jobs/j")[0] == 200
    assert running.call("GET", "/api/tracks/t/audio") == (200, SONG)
    assert running.memory() - before < 110_000_000


def test_a_body_or_a_head_that_comes_too_slowly_is_refused(server: Callable[..., Server], opened: Any) -> None:
    running = server().start()
    body = opened(running.port, SLOW_BODY)
    head = opened(running.port, b"GET /healthz HTTP/1.1\r\nHost")
    began = time.monotonic()
    assert body.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert 4 < time.monotonic() - began < 10
    assert head.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert 9 < time.monotonic() - began < 16
    assert body.recv(4096) == head.recv(4096) == b""


def test_a_download_goes_on_when_its_client_has_sent_all(server: Callable[..., Server], opened: Any) -> None:
    running = server().start()
    with_song(running)
    connection = opened(running.port, AUDIO)
    connection.shutdown(socket.SHUT_WR)
    answer = b"".join(iter(lambda: connection.recv(100_000), b""))
    assert answer.partition(b"\r\n\r\n")[2] == SONG


def test_a_stranger_may_send_only_a_short_form(server: Callable[..., Server], opened: Any) -> None:
    running = server(API_TOKEN="secret").start()
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    for length, status in ((70_000, b"413"), (1_000, b"401")):
        head = b"POST /sign-in HTTP/1.1\r\n" + HOST + kind + b"Content-Length: %d\r\n\r\n" % length
        answer = opened(running.port, head + b"a" * length).recv(4096)
        assert answer[9:12] == status
    assert running.call("POST", "/api/jobs", {"prompt": "p"})[0] == 401


def test_a_client_that_leaves_ends_its_wait_at_once(server: Callable[..., Server], opened: Any) -> None:
    running = server().start()
    body = json.dumps({"worker": "gone", "wait": 30}).encode()
    kind = b"Content-Type: application/json\r\n"
    claim = b"POST /api/jobs/claim HTTP/1.1\r\n" + HOST + kind + b"Content-Length: %d\r\n\r\n" % len(body) + body
    files = open_files(running)
    waiting = [opened(running.port, claim) for _ in range(50)]
    wait_for(lambda: open_files(running) >= files + 50, 30)
    for connection in waiting[:40]:
        connection.close()
    wait_for(lambda: open_files(running) <= files + 30, 30)
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    wait_for(lambda: running.call("GET", "/api/jobs/j")[1]["attempts"] == 1, 30)
    [lucky] = select.select(waiting[40:], [], [], 10)[0]
    assert lucky.recv(4096).startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: lines_with(running, "POST /api/jobs/claim 200"), 30)  # a line is logged after its answer
    assert len(lines_with(running, "POST /api/jobs/claim 200")) == 1


def open_files(running: Server) -> int:
    """The number of files and sockets that the web process has open."""
    return running.web_process().num_fds()


def test_of_many_claims_that_wait_one_gets_a_new_job(server: Callable[..., Server], opened: Any) -> None:
    running = server().start()
    body = b'{"worker": "w", "wait": 2}'
    head = b"POST /api/jobs/claim HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nConnection: close\r\n"
    waiting = [opened(running.port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body) for _ in range(200)]
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    answers = [b"".join(iter(lambda: connection.recv(4096), b"")) for connection in waiting]  # noqa: B023
    assert sorted(answer[9:12] for answer in answers) == [b"200"] + [b"204"] * 199


def test_a_web_process_that_is_killed_is_replaced_within_a_second(server: Callable[..., Server]) -> None:
    running = server(**UNMEASURED).start()
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.web_process().kill()
    began = time.monotonic()
    assert running.call("GET", "/api/jobs/j")[0] == 200  # the connection waits until the new process accepts it
    assert time.monotonic() - began < 3  # about 0.5 s on an idle machine
