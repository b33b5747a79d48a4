"""Calls the WSGI app (PEP 3333) with a complete request, and takes its whole answer.

An answer in blocks is joined in memory, so an app must not send endless blocks this way. What is long or endless is
left to the front, which sends it without a thread: a file, an event stream, a wait, or a claim.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from files.transfer import Transfer
from maintenance.logs import request_id
from maintenance.traffic import REQUEST_ID
from records.handover import Handover
from records.streams import EventStream
from records.waits import COMMIT, Commit, Wait
from server.answers import Answer, Refusal, check_headers, has_no_body
from server.environ import Environ

WSGIApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

log = logging.getLogger("ledger.web")
SMALL_FILE = 128 * 1024


class Uncommitted(NamedTuple):
    """An answer that must not be sent before a commit."""

    answer: Answer
    commit: Commit
    environ: Environ

    def then(self, use: Callable[[Answer], object]) -> None:
        """Call use() with the answer after the commit, in the thread that commits; or with a refusal if that fails."""
        self.commit.group.then(lambda: use(self._final()))

    def _final(self) -> Answer:
        error = self.commit.group.error
        return self.answer if error is None else call(self.commit.refusal(error), self.environ)


def ask(app: WSGIApp, environ: Environ) -> Answer | Uncommitted:
    """Ask the app for its answer, which may have to wait for a commit."""
    request_id.set(environ.get(REQUEST_ID))
    answer = call(app, environ)
    commit = environ.pop(COMMIT, None)
    return answer if commit is None else Uncommitted(answer, commit, environ)


def call(app: WSGIApp, environ: Environ) -> Answer:
    """Ask the app for its answer. An exception becomes an answer with status 500; the log has the traceback."""
    try:
        return _call(app, environ)
    except Exception:
        log.exception("%s %s: the app failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
        detail = "This is a defect of the service, not of the request; its log says more."
        return Refusal(500, "internal", detail).answer(environ.get(REQUEST_ID, ""))


def _call(app: WSGIApp, environ: Environ) -> Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    blocks: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], None]:
        if error:
            if blocks:
                raise error[1].with_traceback(error[2])
        elif started:
            raise AssertionError("start_response() was called twice")
        check_headers(status, headers)
        started[:] = [(status, list(headers))]
        return blocks.append

    body = app(environ, start_response)
    if isinstance(body, Transfer | EventStream | Wait | Handover):
        return _left_to_front(Answer(*started[0], body))
    try:
        blocks.extend(body)
    finally:
        getattr(body, "close", lambda: None)()
    if not started:
        raise AssertionError("the app did not call start_response()")
    return _with_length(environ, Answer(*started[0], b"".join(blocks)))


def _left_to_front(answer: Answer) -> Answer:
    """The answer; a small file is read at once. An archive is not: one of its files may be gone."""
    body = answer.body
    if type(body) is not Transfer or body.left > SMALL_FILE:
        return answer
    try:
        return Answer(answer.status, answer.headers, body.read(SMALL_FILE))
    finally:
        body.close()


def _with_length(environ: Environ, answer: Answer) -> Answer:
    """The answer with a Content-Length that is that of its body."""
    status, headers, body = answer
    announced = next((value for name, value in headers if name.lower() == "content-length"), None)
    if has_no_body(status):
        kept = [header for header in headers if status[:3] == "304" or header[0].lower() != "content-length"]
        return Answer(status, kept, b"")
    if environ["REQUEST_METHOD"] == "HEAD":
        return Answer(status, headers, b"")
    if announced is None:
        return Answer(status, [*headers, ("Content-Length", str(len(body)))], body)
    if announced != str(len(body)):
        raise AssertionError(f"the app announced {announced} bytes and sent {len(body)}")
    return answer
