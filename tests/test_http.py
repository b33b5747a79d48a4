"""Strange requests over real sockets: each gets its answer and harms nothing."""

import re
import socket

import pytest

from server.http import MAX_PIPELINED
from tests.conftest import Server
from tests.service import Caller, lines_with

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HOST, END = b"Host: 127.0.0.1\r\n", b"Connection: close\r\n\r\n"
BODY = b'{"prompt": "x"}'
STRANGE = {
    "a negative length": (POST + b"Content-Length: -1\r\n" + END, 400),
    "an endless length": (POST + b"Content-Length: 99999999999999999999\r\n" + END, 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n" + END, 400),
    "no body": (POST + END, 400),
    "a chunked body": (POST + b"Transfer-Encoding: chunked\r\n" + END + b'f\r\n{"prompt": "x"}\r\n0\r\n\r\n', 411),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n" + END, 400),
    "the same host twice": (b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + END, 400),
    "two hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n" + END, 400),
    "a space before the colon": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A : 1\r\n" + END, 400),
    "a length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n",
        400,
    ),
    "150 headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n" * 150 + END, 431),
    "a header of 100 kB": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 100_000 + b"\r\n" + END, 431),
    "a head without an end": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 100_000, 431),
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n", 200),
    "HTTP/1.0 without a host": (b"GET /healthz HTTP/1.0\r\n\r\n", 403),
    "a body with a wish for another protocol": (
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 18\r\n\r\n" + b'{"prompt": "rain"}',
        201,
    ),
    "half an address as host": (b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n" + END, 403),
    "lines that end without CR": (b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n", 400),
    "a header on two lines": (GET + b"X-Long: a\r\n b\r\n" + END, 400),
    "a space before the first header": (b"GET /healthz HTTP/1.1\r\n X: 1\r\n" + HOST + END, 400),
    "a header without a name": (GET + b": a\r\n" + END, 400),
    "a header with NUL": (GET + b"X-Text: a\0b\r\n" + END, 400),
    "a header with CR": (GET + b"X-Text: a\rb\r\n" + END, 400),
    "empty lines before the request": (b"\r\n\r\n" + GET + END, 200),
    "chunks and a length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 15\r\n" + END + BODY, 400),
    "chunks that are not the last coding": (POST + b"Transfer-Encoding: chunked, gzip\r\n" + END, 400),
    "a list of lengths": (POST + b"Content-Length: 15, 15\r\n" + END + BODY, 400),
    "a length with a sign": (POST + b"Content-Length: +15\r\n" + END + BODY, 400),
    "a length with an underscore": (POST + b"Content-Length: 1_5\r\n" + END + BODY, 400),
    "an empty length": (POST + b"Content-Length: \r\n" + END + BODY, 400),
    "a body over the limit": (POST + b"Content-Length: 2000000\r\n" + END, 413),
    "a body over the limit that waits": (POST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n" + END, 413),
    "a chunked body that waits": (POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n" + END, 411),
    "a full URL": (b"GET http://127.0.0.1/healthz HTTP/1.1\r\n" + HOST + END, 200),
    "a full URL of IPv6": (b"GET http://[::1]:80/healthz HTTP/1.1\r\n" + HOST + END, 200),
    "a full URL of another": (b"GET http://evil.example/healthz HTTP/1.1\r\n" + HOST + END, 403),
    "a full URL with a port that is none": (b"GET http://127.0.0.1:99999999/ HTTP/1.1\r\n" + HOST + END, 400),
    "a target that is no path": (b"GET healthz HTTP/1.1\r\n" + HOST + END, 400),
    "a target that is no ASCII": (b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + END, 400),
    "a target of 100 kB": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + END, 414),
    "only NUL as path": (b"GET /%00 HTTP/1.1\r\n" + HOST + END, 404),
    "HTTP/1.0 that would stay": (b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n" + HOST + b"\r\n", 200),
    "HTTP/2": (b"GET /healthz HTTP/2.0\r\n" + HOST + END, 505),
    "the first line of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a web socket": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", 200),
    "an upgrade to HTTP/2": (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    "no text as host": (b"GET /healthz HTTP/1.1\r\nHost: \xff\r\n" + END, 403),
    "a method of its own": (b"FROB /healthz HTTP/1.1\r\n" + HOST + END, 400),
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


def test_requests_that_are_sent_ahead_are_answered_in_order(service: Server) -> None:
    paths = ["/healthz", "/nowhere", "/api/stats"] * 10
    ahead = b"".join(b"GET %s HTTP/1.1\r\n%s\r\n" % (path.encode(), HOST) for path in paths[:-1])
    last = b"GET %s HTTP/1.1\r\n%s%s" % (paths[-1].encode(), HOST, END)
    answers = exchange(service.port, ahead + last)
    statuses = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 200] * 10


def test_too_many_requests_that_are_sent_ahead_are_refused(service: Server) -> None:
    answers = exchange(service.port, (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 500)
    assert MAX_PIPELINED <= answers.count(b"HTTP/1.1 200 ") < 500 and answers.count(b"HTTP/1.1 429 ") == 1


def test_what_follows_a_refused_body_is_no_request(service: Server) -> None:
    refused = b"POST /api/jobs HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=9) as connection:
        connection.sendall(refused + POST + b"Content-Length: 100\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_body_that_is_expected_is_asked_for(service: Server) -> None:
    body = b'{"prompt": "rain"}'
    with socket.create_connection(("127.0.0.1", service.port), timeout=9) as connection:
        connection.sendall(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(body) + END)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_a_body_that_will_be_refused_is_not_asked_for(service: Server) -> None:
    answer = exchange(service.port, POST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n" + END)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"100 Continue" not in answer


def test_an_answer_to_head_has_no_body_and_the_connection_goes_on(service: Server) -> None:
    head = b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    answers = exchange(service.port, head + head.replace(b"HEAD", b"GET").removesuffix(b"\r\n") + END)
    first, second = answers.split(b"HTTP/1.1 ")[1:]
    assert b"Content-Length: 15" in first and first.endswith(b"\r\n\r\n") and second.endswith(b'{"status":"ok"}')


def test_a_client_that_has_sent_all_may_close_its_half(service: Server) -> None:
    request = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    assert exchange(service.port, request, socket.SHUT_WR).endswith(b'{"status":"ok"}')


def test_a_client_that_goes_on_sending_after_a_refusal_gets_the_answer(service: Server) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=9) as connection:
        connection.sendall(POST + b"Content-Length: 2000000\r\n\r\n")
        connection.sendall(bytes(1_500_000))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_an_http_1_0_request_gets_no_100(service: Server) -> None:
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Expect: 100-continue\r\nContent-Length: 15\r\n\r\n"
    assert exchange(service.port, head, socket.SHUT_WR).startswith(b"HTTP/1.1 400 ")


def test_ten_requests_in_one_send_are_answered_in_order(service: Server) -> None:
    paths = [b"/nothing-%d" % number if number % 2 else b"/healthz" for number in range(10)]
    heads = [b"GET %s HTTP/1.1\r\n" % path + HOST for path in paths]
    answers = exchange(service.port, b"\r\n".join(heads) + END).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"404"] * 5


def test_bodies_in_one_send_belong_to_their_requests(service: Server) -> None:
    sent = b""
    for number in range(5):
        body = b'{"prompt": "in one send", "job_id": "sent-%d"}' % number
        sent += POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answers = exchange(service.port, sent + GET + END)
    assert re.findall(rb"Location: /api/jobs/(\S+)", answers) == [b"sent-%d" % number for number in range(5)]


def test_a_request_after_one_that_cannot_be_read_is_ignored(service: Server) -> None:
    answers = exchange(service.port, GET + b"\r\n" + b"\x16\x03\r\n\r\n" + GET + END)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200", b"400"]
    assert answers.count(b"Connection: close\r\n") == 1


def test_too_many_requests_ahead_are_refused_after_those_before(service: Server) -> None:
    codes = re.findall(rb"HTTP/1.1 (\d+) ", exchange(service.port, (GET + b"\r\n") * 300))
    assert codes == [b"200"] * (len(codes) - 1) + [b"429"]
    assert len(codes) > MAX_PIPELINED


def test_a_client_that_waits_to_send_its_body_is_invited_once(service: Server) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=9) as connection:
        connection.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 15\r\n" + END)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 201 ") and b" 100 " not in answer


def test_head_has_the_headers_of_get_and_no_body(service: Server) -> None:
    answers = exchange(service.port, GET.replace(b"GET", b"HEAD") + b"\r\n" + GET + END)
    head, _, get = answers.partition(b"\r\n\r\n")
    assert b"Content-Length: 15" in head
    assert get.startswith(b"HTTP/1.1 200 ") and get.endswith(b'{"status":"ok"}')


def test_an_answer_to_http_1_0_ends_the_connection_and_says_so(service: Server) -> None:
    answer = exchange(service.port, GET.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n")
    assert b"\r\nConnection: close\r\n" in answer and answer.endswith(b'{"status":"ok"}')


def test_a_client_that_sends_no_more_still_gets_its_answer(service: Server) -> None:
    assert exchange(service.port, GET + b"\r\n", socket.SHUT_WR).endswith(b'{"status":"ok"}')
    sent = POST + b"Content-Length: 15\r\n\r\n" + BODY
    assert exchange(service.port, sent, socket.SHUT_WR).startswith(b"HTTP/1.1 201 ")


def test_a_client_that_sends_its_refused_body_anyway_reads_the_refusal(service: Server) -> None:
    sent = POST + b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000
    assert exchange(service.port, sent).startswith(b"HTTP/1.1 413 ")


def exchange(port: int, sent: bytes, then: int | None = None) -> bytes:
    """All that comes back for these bytes, after which the connection may be shut down in part."""
    with socket.create_connection(("127.0.0.1", port), timeout=9) as connection:
        connection.sendall(sent)
        if then is not None:
            connection.shutdown(then)
        return rest(connection)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))
