"""Lets requests wait until something happens, their time is over, or the process stops."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from flask import Response, after_this_request, request
from werkzeug.http import parse_list_header

from database import give_back_connection
from models import Job
from web.current import services

Result = TypeVar("Result")
PACE_SECONDS = 0.1  # the shortest time between two calls of look() in one request
LOOK_SECONDS = 1.0  # the longest time between two calls of look(), even without a change
LONGEST_SECONDS = 60


def wait_for(look: Callable[[], Result | None], seconds: float) -> Result | None:
    """Call look() until its result is not None, at most these seconds. If too many requests wait, call it only once."""
    waits = services().limits.waits
    result = look()
    if result is not None or seconds <= 0 or not waits.acquire(blocking=False):
        return result
    try:
        return _look_until(look, time.monotonic() + seconds)
    finally:
        waits.release()


def _look_until(look: Callable[[], Result | None], until: float) -> Result | None:
    feed, stopping = services().feed, services().stopping
    with feed.watched():
        result, seen = None, feed.changes
        while result is None and (left := until - time.monotonic()) > 0:
            give_back_connection()
            seen = feed.wait_for_change(seen, min(left, LOOK_SECONDS))
            result = look()
            if result is None and stopping.wait(min(max(0, until - time.monotonic()), PACE_SECONDS)):
                break
        return result


def wait_until_finished(job: Job | None) -> Job | None:
    """Wait until the job has finished or the seconds of `Prefer: wait=n` have passed.

    Returns the job as it is now, or None if it was deleted.
    """
    seconds = preferred_seconds()
    if job is None or seconds is None:
        return job
    store = services().job_store

    def look() -> bool | None:
        latest = store.get(job.job_id)
        return True if latest is None or latest.status in latest.statuses.final else None

    until = time.monotonic() + seconds
    if wait_for(look, seconds) or time.monotonic() >= until:
        after_this_request(lambda answer: _applied(answer, seconds))
    return store.get(job.job_id)


def preferred_seconds() -> int | None:
    """The n of `Prefer: wait=n` (RFC 7240), at most 60; None without this preference, or if it cannot be read."""
    for preference in parse_list_header(request.headers.get("Prefer", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":  # if it comes twice, the first counts
            digits = re.fullmatch('[0-9]+|"[0-9]+"', value.strip())
            return min(int(digits[0].strip('"')[:9]), LONGEST_SECONDS) if digits else None
    return None


def _applied(answer: Response, seconds: int) -> Response:
    answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer
