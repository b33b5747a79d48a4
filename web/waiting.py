"""Requests that wait for something to happen, without holding up a shutdown or all the threads."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from flask import Response, after_this_request, request
from werkzeug.http import parse_list_header

from database import give_back_connection
from models import Job
from web.current import services

Found = TypeVar("Found")
PACE_SECONDS = 0.1  # between two looks of one request
LOOK_SECONDS = 1.0  # look that often even when nothing is heard of
LONGEST_SECONDS = 60


def wait_for(look: Callable[[], Found | None], seconds: float) -> Found | None:
    """The first thing look() finds within so many seconds, else None; looks once when too many wait already."""
    waits = services().limits.waits
    found = look()
    if found is not None or seconds <= 0 or not waits.acquire(blocking=False):
        return found
    try:
        return _find_later(look, time.monotonic() + seconds)
    finally:
        waits.release()


def _find_later(look: Callable[[], Found | None], until: float) -> Found | None:
    feed, stopping = services().feed, services().stopping
    with feed.watched():
        found, seen = None, feed.changes
        while found is None and (left := until - time.monotonic()) > 0:
            give_back_connection()
            seen = feed.wait_for_change(seen, min(left, LOOK_SECONDS))
            found = look()
            if found is None and stopping.wait(min(max(0, until - time.monotonic()), PACE_SECONDS)):
                break
        return found


def wait_until_finished(job: Job | None) -> Job | None:
    """The job as soon as it has finished, or as it is after the seconds of `Prefer: wait=n`; None if it was deleted."""
    seconds = preferred_seconds()
    if job is None or seconds is None:
        return job
    store = services().job_store

    def look() -> bool | None:
        found = store.get(job.job_id)
        return True if found is None or found.status in found.statuses.final else None

    until = time.monotonic() + seconds
    if wait_for(look, seconds) or time.monotonic() >= until:
        after_this_request(lambda answer: _applied(answer, seconds))
    return store.get(job.job_id)


def preferred_seconds() -> int | None:
    """The n of `Prefer: wait=n` (RFC 7240), 60 at most; None without one, or when it cannot be read."""
    for preference in parse_list_header(request.headers.get("Prefer", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":  # the first one counts
            digits = re.fullmatch('[0-9]+|"[0-9]+"', value.strip())
            return min(int(digits[0].strip('"')[:9]), LONGEST_SECONDS) if digits else None
    return None


def _applied(answer: Response, seconds: int) -> Response:
    answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer
