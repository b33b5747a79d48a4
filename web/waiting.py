"""Responses that wait until something happens, their time is over, or the process stops.

A server that supports the class Wait waits without a thread. With any other server, the thread of the request waits.
"""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_future
from functools import partial
from typing import Any, TypeVar, cast

from flask import Flask, Response, after_this_request, current_app, request
from werkzeug.http import parse_list_header

from database import give_back_connection
from errors import Busy
from files.derived import BeingMade
from files.transfer import Transfer
from models import JOB_STATUSES
from records.waits import HAS_LEFT, Wait
from repos import JobRepository
from web.current import open_place, services

Result = TypeVar("Result")
Body = TypeVar("Body", bound=Transfer)
jobs = JobRepository()
PACE_SECONDS = 0.1  # the shortest time between two calls of look() in one request
LOOK_SECONDS = 1.0  # the longest time between two calls of look(), even without a change
LONGEST_SECONDS = 60
FILE_SECONDS = 30.0  # a request waits so long for a file that is being made


def answer_when(
    look: Callable[[], Result | None],
    seconds: float,
    answer: Callable[[Result | None], Response],
    close: Callable[[], object] = lambda: None,
    **wakes: Any,
) -> Response:
    """The response answer(result) when look() returns a result; after these seconds, answer(None).

    close: called when a wait has ended, also because its client has left. wakes: the fields of a Wait that say what can
    change the result. For HEAD, and if too many requests wait (of all clients, or of this one), this calls look() once
    and does not wait.
    """
    result = look()
    if result is not None or seconds <= 0 or request.method == "HEAD":
        return answer(result)
    try:
        give_back = open_place(services().limits.waits)
    except Busy:
        return answer(result)

    def end() -> None:
        give_back()
        close()

    if HAS_LEFT in request.environ:
        app = cast(Any, current_app)._get_current_object()
        attempt = partial(_attempt, app, request.environ, look, answer)
        return Response(Wait(seconds, attempt, end, **wakes), direct_passthrough=True)  # type: ignore[arg-type]
    try:
        return answer(_look_until(look, time.monotonic() + seconds, wakes.get("future")))
    finally:
        end()


def when_finished(job_id: str, answer: Callable[[bool], Response]) -> Response:
    """The response for a job when it has finished, or when the seconds of `Prefer: wait=n` have passed.

    This calls answer(True) if it has waited: then the job may have changed, or may be deleted. Else answer(False).
    """
    seconds = preferred_seconds()
    if seconds is None or jobs.get_value(job_id, "status") is None:
        return answer(False)
    until = time.monotonic() + seconds

    def look() -> bool | None:
        status = jobs.get_value(job_id, "status")
        return True if status is None or status in JOB_STATUSES.final else None

    def finish(has_finished: bool | None) -> Response:
        if has_finished or time.monotonic() >= until:
            after_this_request(lambda response: _applied(response, seconds))
        return answer(True)

    return answer_when(look, seconds, finish, job_id=job_id)


def when_made(open_file: Callable[[], Result], answer: Callable[[Result], Response]) -> Response:
    """The response for a file that may have to be made first. Raises Busy if that takes long."""
    try:
        return answer(open_file())
    except BeingMade as error:
        future = error.future

    def look() -> Result | None:
        if not future.done():
            return None
        future.result()  # raises the error that the maker had
        return open_file()

    def finish(file: Result | None) -> Response:
        if file is None:
            raise Busy("This is being made from the track's file, and takes a while: ask again in a moment.")
        return answer(file)

    return answer_when(look, FILE_SECONDS, finish, future=future)


def when_done(future: "Future[Body]", seconds: float, answer: Callable[[Body], Response]) -> Response:
    """The response with the body that a future has when it is done. Raises Busy if that takes longer than the seconds.

    If the client has left, or the time is over, the future is cancelled. If it runs already, its body is closed.
    """
    is_taken = False

    def look() -> Body | None:
        return future.result() if future.done() else None

    def finish(body: Body | None) -> Response:
        nonlocal is_taken
        if body is None:
            close()
            raise Busy("This takes a while to make: ask again in a moment.")
        is_taken = True
        return answer(body)

    def close() -> None:
        if not is_taken:
            future.cancel()
            future.add_done_callback(_close_body)

    return answer_when(look, seconds, finish, close, future=future)


def client_has_left() -> bool:
    """True if the client has closed its connection; False if the server cannot know."""
    has_left: Callable[[], bool] = request.environ.get(HAS_LEFT, bool)
    return has_left()


def preferred_seconds() -> int | None:
    """The n of `Prefer: wait=n` (RFC 7240), at most 60; None without this preference, or if it cannot be read."""
    if "HTTP_PREFER" not in request.environ:
        return None
    for preference in parse_list_header(request.headers["Prefer"]):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":  # if it comes twice, the first counts
            digits = re.fullmatch('[0-9]+|"[0-9]+"', value.strip())
            return min(int(digits[0].strip('"')[:9]), LONGEST_SECONDS) if digits else None
    return None


def _close_body(future: "Future[Body]") -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().close()


def _attempt(
    app: Flask,
    environ: dict[str, Any],
    look: Callable[[], Result | None],
    answer: Callable[[Result | None], Response],
    is_last: bool,
) -> Response | None:
    """Look again, in a request context of its own: the response, or None if there is none yet."""
    with app.request_context(environ):
        try:
            result = look()
            if result is None and not is_last:
                return None
            response: Any = answer(result)
        except Exception as error:
            response = app.handle_user_exception(error)
        return app.finalize_request(response)


def _look_until(look: Callable[[], Result | None], until: float, future: Future[Any] | None) -> Result | None:
    """Call look() after every change until it has a result, or the time has come. In the thread of the request."""
    feed, stopping = services().feed, services().stopping
    with feed.watched():
        result, seen = None, feed.changes
        while result is None and (left := until - time.monotonic()) > 0:
            give_back_connection()
            if future is None:
                seen = feed.wait_for_change(seen, min(left, LOOK_SECONDS))
            else:
                wait_for_future([future], min(left, LOOK_SECONDS))
            result = look()
            if result is None and stopping.wait(min(max(0, until - time.monotonic()), PACE_SECONDS)):
                break
        return result


def _applied(answer: Response, seconds: int) -> Response:
    answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer
