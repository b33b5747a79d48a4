"""The bridge from the front to a WSGI app (PEP 3333): ordinary answers, odd ones, and failures."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask

from server.answers import Answer, head
from server.bridge import call
from server.environ import Environs

Start = Callable[..., Any]
ENVIRONS = Environs(8000, frozenset())
TEXT = [("Content-Type", "text/plain")]


def environ(method: str = "GET", path: bytes = b"/", body: bytes = b"", **headers: str) -> dict[str, Any]:
    """An environ as the front makes it."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if body:
        sent += [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    made = ENVIRONS.make(method, "1.1", path, [(b"host", b"localhost"), *sent], "127.0.0.1")
    return {**made, "wsgi.input": BytesIO(body)}


def ask(app: Callable[..., Any], method: str = "GET") -> Answer:
    """The answer of an app, checked by the standard library in both directions."""
    return call(validator(app), environ(method))


def test_the_app_itself_keeps_to_the_standard(app: Flask) -> None:
    assert call(validator(app.wsgi_app), environ(path=b"/healthz")).status == "200 OK"
    created = call(validator(app.wsgi_app), environ("POST", b"/api/jobs", b'{"prompt": "rain"}'))
    assert created.status == "201 CREATED" and b'"prompt":"rain"' in created.body
    assert call(validator(app.wsgi_app), environ(path=b"/api/jobs/%00")).status == "404 NOT FOUND"


def test_blocks_are_joined_and_measured() -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", TEXT)
        return iter([b"one", b"", b"two"])

    assert ask(app) == Answer("200 OK", [*TEXT, ("Content-Length", "6")], b"onetwo")


def test_what_is_written_comes_first() -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        write = start("200 OK", TEXT)
        write(b"one")
        return [b"two"]

    assert ask(app).body == b"onetwo"


class Blocks:
    """A body that notices whether it is closed, and may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.is_closed = error, False

    def __iter__(self) -> Iterator[bytes]:
        """One block."""
        yield b"one"
        if self.error:
            raise self.error

    def close(self) -> None:
        """Remember this."""
        self.is_closed = True


@pytest.mark.parametrize(("error", "status"), [(None, "200 OK"), (OSError("gone"), "500 Internal Server Error")])
def test_a_body_is_closed_whatever_happens(error: Exception | None, status: str) -> None:
    body = Blocks(error)

    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", TEXT)
        return body

    assert ask(app).status == status and body.is_closed


@pytest.mark.parametrize("is_started", [False, True])
def test_an_app_that_fails_is_answered_for(is_started: bool, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if is_started:
            start("200 OK", TEXT)
        raise LookupError("no such note")

    answer = ask(app)
    assert answer.status == "500 Internal Server Error" and b"no such note" not in answer.body
    assert "LookupError: no such note" in caplog.text


def test_an_answer_can_be_replaced_by_that_to_an_error() -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", TEXT)
        try:
            raise LookupError
        except LookupError:
            start("503 Service Unavailable", TEXT, sys.exc_info())
        return [b"later"]

    assert ask(app)[0] == "503 Service Unavailable"


def test_after_the_first_bytes_an_error_cannot_replace_the_answer() -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", TEXT)(b"one")
        try:
            raise LookupError
        except LookupError:
            start("503 Service Unavailable", TEXT, sys.exc_info())
        return [b"later"]

    assert call(app, environ()).status == "500 Internal Server Error"


def no_start(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """An app that does not say how its answer starts."""
    return [b"one"]


def two_starts(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """An app that starts twice."""
    start("200 OK", TEXT)
    start("200 OK", TEXT)
    return [b"one"]


def broken_header(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """An app that would add a header by a line break."""
    start("200 OK", [("X-A", "1\r\nX-B: 2")])
    return [b"one"]


def wrong_length(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """An app that announces more than it sends."""
    start("200 OK", [("Content-Length", "5")])
    return [b"one"]


@pytest.mark.parametrize("app", [no_start, two_starts, broken_header, wrong_length])
def test_an_answer_that_would_break_the_protocol_is_not_sent(app: Callable[..., Any]) -> None:
    assert call(app, environ()).status == "500 Internal Server Error"


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        ("HEAD", "200 OK", [*TEXT, ("Content-Length", "3")]),
        ("GET", "304 Not Modified", [("ETag", '"1"')]),
        ("GET", "204 No Content", []),
    ],
)
def test_an_answer_without_a_body_keeps_its_headers(method: str, status: str, headers: list[tuple[str, str]]) -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start(status, headers)
        return []

    assert ask(app, method) == Answer(status, headers, b"")


def test_no_content_has_no_length() -> None:
    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("204 No Content", [("Content-Length", "0")])
        return []

    assert call(app, environ()).headers == []


def simple(status: str = "200 OK", body: bytes = b"text", *headers: tuple[str, str]) -> Callable[..., Any]:
    """An app that always gives this answer."""

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response(status, [*headers] if status[:3] in ("204", "304") else [*TEXT, *headers])
        return [body]

    return app


def test_a_generator_may_start_its_answer_late_and_is_closed() -> None:
    ended = []

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        try:
            start_response("201 Created", TEXT)
            yield b"one "
            yield b""
            yield b"two"
        finally:
            ended.append(True)

    # without the validator, which wants the call of start_response() before the first block
    assert call(app, environ()) == Answer("201 Created", [*TEXT, ("Content-Length", "7")], b"one two")
    assert ended == [True]


def is_error(made: Answer) -> bool:
    """True for the one answer to every exception; it does not show the exception."""
    return made.status == "500 Internal Server Error" and json.loads(made.body)["code"] == "internal"


def test_the_answer_to_head_keeps_the_length_and_has_no_body() -> None:
    made = ask(simple("200 OK", b"", ("Content-Length", "99")), "HEAD")
    assert made == Answer("200 OK", [*TEXT, ("Content-Length", "99")], b"")
    assert ask(simple(), "HEAD").body == b""


def test_204_and_304_have_no_body() -> None:
    assert ask(simple("204 No Content", b"text")) == Answer("204 No Content", [], b"")
    kept = [("ETag", '"1"'), ("Content-Length", "99")]
    assert call(simple("304 Not Modified", b"text", *kept), environ()) == Answer("304 Not Modified", kept, b"")
    assert call(simple("204 No Content", b"", *kept), environ()).headers == kept[:1]


@pytest.mark.parametrize("length", ["3", "5", "x", "-4", "4 "])
def test_a_length_that_is_not_that_of_the_body_is_an_error(length: str) -> None:
    assert is_error(call(simple("200 OK", b"text", ("content-length", length)), environ()))


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_the_end_of_a_line_in_a_header_is_an_error(text: str) -> None:
    assert is_error(call(simple("200 OK", b"", ("X-Text", text)), environ()))
    assert is_error(call(simple("200 OK", b"", (text, "x")), environ()))
    assert is_error(call(simple(f"200 {text}"), environ()))


def test_a_header_that_cannot_be_sent_is_an_error() -> None:
    made = call(simple("200 OK", b"", ("X-Text", "\u2603")), environ())
    assert is_error(made)
    head(made, True, "id")


@pytest.mark.parametrize("block", ["text", None, 7])
def test_a_block_that_is_not_bytes_is_an_error(block: Any) -> None:
    assert is_error(call(simple("200 OK", block), environ()))


def test_an_app_changes_only_its_own_headers() -> None:
    headers = [*TEXT]

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", headers)
        headers.append(("X-Late", "1"))
        return [b"text"]

    assert call(app, environ()).headers == [*TEXT, ("Content-Length", "4")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_service_obeys_the_rules(app: Flask, method: str) -> None:
    made = call(validator(app.wsgi_app), environ(method, b"/healthz"))
    assert made.status == "200 OK" and dict(made.headers)["Content-Length"] == "15"
    assert made.body == (b'{"status":"ok"}' if method == "GET" else b"")


def test_the_service_reads_a_body_by_the_rules(app: Flask) -> None:
    body = b'{"prompt": "rain", "job_id": "by-the-rules"}'
    made = call(validator(app.wsgi_app), environ("POST", b"/api/jobs", body))
    assert made.status.startswith("201 ") and json.loads(made.body)["job_id"] == "by-the-rules"
    assert dict(made.headers)["Location"] == "/api/jobs/by-the-rules"


def test_the_service_refuses_by_the_rules(app: Flask) -> None:
    made = call(validator(app.wsgi_app), environ("POST", b"/api/jobs", b"{"))
    assert made.status.startswith("400 ")
    assert call(validator(app.wsgi_app), environ("PATCH", b"/nothing")).status.startswith("404 ")
