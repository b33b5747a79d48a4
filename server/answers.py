"""The answer to one request, and its bytes as HTTP/1.1."""

import itertools
import json
import re
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple

from errors import Busy, TooMany

RETRY_SECONDS = "2"
UNSENDABLE = re.compile("[\r\n\0\u0100-\U0010ffff]")
NO_BODY = ("1", "204", "304")  # the statuses, or their first digits, that have no body

_date: tuple[int, str] = (0, "")


class Answer(NamedTuple):
    """A status such as '200 OK', the headers, and the body: bytes, or what the front sends without a thread."""

    status: str
    headers: list[tuple[str, str]]
    body: Any


class Refusal(NamedTuple):
    """Why the server itself refuses a request, which does not reach the app."""

    status: int
    code: str
    detail: str

    def answer(self, request_id: str) -> Answer:
        """The answer, as problem+json."""
        phrase = HTTPStatus(self.status).phrase
        body = json.dumps({"title": phrase, **self._asdict(), "request_id": request_id}).encode()
        headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
        if self.status in (429, 503):
            headers.append(("Retry-After", RETRY_SECONDS))
        return Answer(f"{self.status} {phrase}", headers, body)


def refusal(error: Busy) -> Refusal:
    """The refusal for a limit that is reached."""
    status, code = (429, "too_many") if isinstance(error, TooMany) else (503, "unavailable")
    return Refusal(status, code, str(error))


def check_headers(status: str, headers: list[tuple[str, str]]) -> None:
    """Raise ValueError if the status or a header contains the end of a line, or a character outside Latin-1."""
    if any(UNSENDABLE.search(text) for text in (status, *itertools.chain.from_iterable(headers))):
        raise ValueError("a header of the answer contains the end of a line, or a character outside Latin-1")


def head(answer: Answer, keep_alive: bool, request_id: str) -> bytes:
    """The status line and the headers."""
    fields = [f"{name}: {value}\r\n" for name, value in answer.headers]
    fields.append(f"X-Request-Id: {request_id}\r\n")
    if all(name != "Date" for name, _ in answer.headers):
        fields.append(f"Date: {_now()}\r\n")
    if not keep_alive:
        fields.append("Connection: close\r\n")
    return f"HTTP/1.1 {answer.status}\r\n{''.join(fields)}\r\n".encode("latin-1")


def has_no_body(status: str) -> bool:
    """True for the statuses that never have a body."""
    return status.startswith(NO_BODY)


def _now() -> str:
    """The time as an HTTP date; made once a second."""
    global _date
    now = int(time.time())
    if now != _date[0]:
        _date = now, formatdate(now, usegmt=True)
    return _date[1]
