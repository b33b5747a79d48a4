"""A running service, while libfaketime sets the wall clock of all its processes. Their monotonic clock is real."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models import utc_now
from tests.conftest import ROOT, thorough, wait_for
from tests.service import Server, accepted
from tests.streams import Block, Listener, events_of, ids
from tests.workers import COMMAND

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
HOUR, YEAR = 3600, 365 * 86_400
TURNS = thorough(20, 1)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is missing: apt-get install faketime")


class Clock:
    """The wall clock of the service. A generator works as long as the file `busy` exists."""

    def __init__(self, folder: Path) -> None:
        self.file, self.busy = folder / "clock", folder / "busy"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
            "STANDIN_WHILE": str(self.busy),
            "PYTHONPATH": str(ROOT / "tests" / "faked"),
        }

    def set(self, seconds: int) -> None:
        """Set it so many seconds ahead of the real time, or back if they are negative."""
        whole = self.file.with_suffix(".new")
        whole.write_text(f"{seconds:+}")
        whole.rename(self.file)


class Versions:
    """Reads jobs again and again. Their times must never go back."""

    def __init__(self, service: Server) -> None:
        self.service, self._last = service, dict[str, str]()

    def read(self, job_id: str, wait_seconds: int = 0) -> Any:
        """The job as it is now, or when it has ended within these seconds."""
        job = accepted(self.service.call("GET", f"/api/jobs/{job_id}", Prefer=f"wait={wait_seconds}"))
        assert max(job["created_at"], self._last.get(job_id, "")) <= job["updated_at"]
        self._last[job_id] = job["updated_at"]
        return job


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """The clock, at the real time."""
    return Clock(tmp_path)


@pytest.fixture
def service(server: Callable[..., Server], clock: Clock) -> Server:
    """A service with one worker, and a lease of six seconds."""
    settings = {"WORKERS": "1", "LEASE_SECONDS": "6", "DIFFRHYTHM_COMMAND": COMMAND}
    return server(**settings, **clock.environment).start()


@pytest.mark.timeout(thorough(900, 120))
def test_work_lists_and_streams_go_on_when_the_clock_jumps(service: Server, clock: Clock) -> None:
    listener = Listener(service.port)
    versions = Versions(service)
    made = [job_id for turn in range(TURNS) for job_id in jumps(versions, clock, turn)]
    kill_a_worker(versions, clock, made)
    assert [versions.read(job_id)["attempts"] for job_id in made] == [1] * (len(made) - 1) + [2]
    assert sorted(walked(service)) == sorted(made)
    assert accepted(service.call("GET", "/api/stats"))["tracks"] == len(made)
    events = list(until_completed(listener, made[-1]))
    listener.close()
    assert ids(events) == list(range(1, len(events) + 1))
    assert sorted(filter(None, map(completed, events))) == sorted(made)


def jumps(versions: Versions, clock: Clock, turn: int) -> Iterator[str]:
    """For an hour and for a year: while a job is running, set the clock forward, and then right.

    The worker renews its lease after each jump, and the job ends in its first attempt.
    """
    for seconds in (HOUR, YEAR):
        job_id = f"{seconds}-{turn}"
        with generator_at_work(versions, clock, job_id):
            for ahead in (seconds, 0):
                clock.set(ahead)
                wait_for(partial(is_leased_at, versions, job_id, ahead), 30, versions.service.log.read_text)
        assert versions.read(job_id, 60)["status"] == "completed", versions.service.log.read_text()
        yield job_id


def kill_a_worker(versions: Versions, clock: Clock, made: list[str]) -> None:
    """Kill the worker of a job, and set the clock a year back. Another worker makes the job at once.

    By the new time, the lease of the killed worker ends in a year.
    """
    made.append("killed")
    with generator_at_work(versions, clock, "killed") as job:
        os.kill(int(job["worker"].rpartition(":")[2]), signal.SIGKILL)
        clock.set(-YEAR)
    assert versions.read("killed", 60)["status"] == "completed", versions.service.log.read_text()


@contextmanager
def generator_at_work(versions: Versions, clock: Clock, job_id: str) -> Iterator[Any]:
    """Add a job. Its generator works until the end of this block, which gets the job."""
    clock.busy.touch()
    try:
        post(versions.service, job_id)
        yield wait_for(partial(generating, versions, job_id), 30)
    finally:
        clock.busy.unlink()


def generating(versions: Versions, job_id: str) -> Any:
    """The job, if its generator runs."""
    job = versions.read(job_id)
    return job if job["status"] == "generating_audio" else None


def is_leased_at(versions: Versions, job_id: str, ahead: int) -> bool:
    """True if the lease was renewed while the clock was so many seconds ahead."""
    expires_at = datetime.fromisoformat(versions.read(job_id)["lease_expires_at"])
    return abs((expires_at - utc_now()).total_seconds() - ahead) < 60


def post(service: Server, job_id: str) -> None:
    """Add a job."""
    accepted(service.call("POST", "/api/jobs", {"job_id": job_id, "prompt": "rain"}))


def walked(service: Server) -> Iterator[str]:
    """The ids of all jobs, by pages of two."""
    following = "/api/jobs?limit=2"
    while following is not None:
        page = accepted(service.call("GET", following))
        yield from (job["job_id"] for job in page["items"])
        following = page["next"]


def completed(event: Block) -> str | None:
    """The job that has completed by this event, or None."""
    change = event["data"]
    is_end = change["entity"] == "job" and change["data"]["status"] == "completed"
    return change["entity_id"] if is_end else None


def until_completed(listener: Listener, job_id: str) -> Iterator[Block]:
    """The events of a stream, up to the one by which this job has completed."""
    for event in events_of(iter(listener)):
        yield event
        if completed(event) == job_id:
            return
