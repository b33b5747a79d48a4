"""Strange requests over real sockets: each gets its answer and harms nothing."""

import socket

import pytest

from tests.conftest import Server
from tests.service import Caller, lines_with

POST = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HOST, END = b"Host: 127.0.0.1\r\n", b"Connection: close\r\n\r\n"
STRANGE = {
    "a negative length": (POST + b"Content-Length: -1\r\n" + END, 400),
    "an endless length": (POST + b"Content-Length: 99999999999999999999\r\n" + END, 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n" + END, 400),
    "no body": (POST + END, 400),
    "a chunked body": (POST + b"Transfer-Encoding: chunked\r\n" + END + b'f\r\n{"prompt": "x"}\r\n0\r\n\r\n', 411),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n" + END, 403),
    "the same host twice": (b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + END, 403),
    "two hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n" + END, 403),
    "half an address as host": (b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n" + END, 403),
    "no text as host": (b"GET /healthz HTTP/1.1\r\nHost: \xff\r\n" + END, 403),
    "a method of its own": (b"FROB /healthz HTTP/1.1\r\n" + HOST + END, 405),
    "options of all": (b"OPTIONS * HTTP/1.1\r\n" + HOST + END, 404),
    "a proxy's request": (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + END, 404),
    "a path with NUL": (b"GET /api/jobs/%00 HTTP/1.1\r\n" + HOST + END, 404),
    "a path that is no UTF-8": (b"GET /api/jobs/%ff%fe HTTP/1.1\r\n" + HOST + END, 404),
    "a query that is neither": (b"GET /api/jobs?q=%ff%00 HTTP/1.1\r\n" + HOST + END, 400),
    "a way out of the folder": (b"GET /docs/%2e%2e/%2e%2e/app.py HTTP/1.1\r\n" + HOST + END, 404),
    "a file name with NUL": (b"GET /docs/%00%ff HTTP/1.1\r\n" + HOST + END, 404),
    "headers that are no text": (
        b"GET /api/jobs HTTP/1.1\r\nIf-None-Match: \xff\r\nOrigin: \xff\r\n" + HOST + END,
        200,
    ),
}


@pytest.mark.parametrize(("sent", "expected"), STRANGE.values(), ids=STRANGE)
def test_a_strange_request_is_answered_and_harms_nothing(sent: bytes, expected: int, service: Server) -> None:
    assert exchange(service.port, sent).startswith(f"HTTP/1.1 {expected} ".encode())
    assert service.is_up()
    assert lines_with(service, "Traceback") == []


def test_a_body_that_ends_early_is_refused(service: Server, call: Caller) -> None:
    sent = POST + b"Content-Length: 100\r\n" + END + b'{"prompt": "cut off", "job_id": "cut-off"}'
    assert exchange(service.port, sent, socket.SHUT_WR).startswith(b"HTTP/1.1 400 ")
    assert call("GET", "/api/jobs/cut-off")[0] == 404


def exchange(port: int, sent: bytes, then: int | None = None) -> bytes:
    """All that comes back for these bytes, after which the connection may be shut down in part."""
    with socket.create_connection(("127.0.0.1", port), timeout=9) as connection:
        connection.sendall(sent)
        if then is not None:
            connection.shutdown(then)
        return b"".join(iter(lambda: connection.recv(65536), b""))
