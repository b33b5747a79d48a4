"""Clients that write without a pause, and what the service has promised them."""

import http.client
import itertools
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.service import Caller, accepted

AWAY = 503  # while PostgreSQL starts again, a write may get this answer; as without an answer, it may have happened


@dataclass
class Promise:
    """What one client sent of one record, and what the service said it keeps; numbers that only rise."""

    sent: int = -1
    kept: int = -1


Promises = dict[str, Promise]


def kept(promises: Promises) -> int:
    """How many writes were acknowledged."""
    return sum(promise.kept + 1 for promise in list(promises.values()))


def write(port: int, name: str, stop: threading.Event, promises: Promises) -> None:
    """Create jobs and update each a few times until stop is set, repeating whatever got no answer."""
    with closing(Caller(port)) as caller:
        for number in itertools.count():
            job_id = f"{name}-{number}"
            promise = promises[job_id] = Promise()
            for value in range(6):
                promise.sent = value
                if not persist(caller, job_id, promise, stop):
                    return
                promise.kept = value


def persist(caller: Caller, job_id: str, promise: Promise, stop: threading.Event) -> bool:
    """True once what was sent last is acknowledged, False when stop is set before."""
    path, body = f"/api/jobs/{job_id}", {"progress": promise.sent, "metadata": {"value": promise.sent}}
    new = {"job_id": job_id, "job_type": "none", "prompt": "rain", **body}
    is_broken = False
    while not stop.is_set():
        try:
            if is_broken:
                status, job = caller("GET", path)
                if status != AWAY:
                    check(promise, (job["progress"], job["metadata"]) if status == 200 else None)
            answer = caller("PATCH", path, body) if promise.sent else caller("POST", "/api/jobs", new)
            if answer[0] != AWAY:
                accepted(answer)
                return True
        except (OSError, http.client.HTTPException):
            caller.close()
        is_broken = True
        stop.wait(0.05)
    return False


def check(promise: Promise, seen: tuple[int, Any] | None) -> None:
    """What is seen of a job must be the kept value or a later one, and whole."""
    progress, metadata = seen or (-1, {"value": -1})
    assert promise.kept <= progress <= promise.sent
    assert metadata == {"value": progress}
