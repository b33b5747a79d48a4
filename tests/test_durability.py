"""What was acknowledged survives SIGKILL."""

import http.client
import itertools
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from database import database, init_database, release
from models import Event, Job
from settings import Settings
from tests.conftest import Server, thorough, wait_for
from tests.service import Caller, accepted, group

KILLS = thorough(30, 8)
WRITERS = 8


@dataclass
class Promise:
    """What one client sent of one job, and what the service said it keeps; numbers that only rise."""

    sent: int = -1
    kept: int = -1


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost_over_many_sigkills(tmp_path: Path, server: Callable[..., Server]) -> None:
    running, stop, promises = server(), threading.Event(), dict[str, Promise]()
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, running.port, f"w{one}", stop, promises) for one in range(WRITERS)]
        try:
            for _ in range(KILLS):
                kill_while_writing(running.start(), promises, writers)
            running.start()
        finally:
            stop.set()
    for writer in writers:
        writer.result()
    running.signal_all(signal.SIGKILL)
    check_database(tmp_path / "app.db", promises)


def kill_while_writing(running: Server, promises: dict[str, Promise], writers: list[Future[None]]) -> None:
    """SIGKILL every process of a server once its clients have got some more answers out of it."""
    number, goal = running.process.pid, kept(promises) + 5 * WRITERS

    def have_written() -> bool:
        for writer in writers:
            if writer.done():
                writer.result()
        return kept(promises) >= goal

    wait_for(have_written, 40)
    running.signal_all(signal.SIGKILL)
    wait_for(lambda: not group(number), 30)


def kept(promises: dict[str, Promise]) -> int:
    """How many writes were acknowledged."""
    return sum(promise.kept + 1 for promise in list(promises.values()))


def write(port: int, name: str, stop: threading.Event, promises: dict[str, Promise]) -> None:
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
    new = {"job_id": job_id, "prompt": "rain", **body}
    is_broken = False
    while not stop.is_set():
        try:
            if is_broken:
                status, job = caller("GET", path)
                check(promise, (job["progress"], job["metadata"]) if status == 200 else None)
            accepted(caller("PATCH", path, body) if promise.sent else caller("POST", "/api/jobs", new))
            return True
        except (OSError, http.client.HTTPException):
            is_broken = True
            caller.close()
            stop.wait(0.05)
    return False


def check(promise: Promise, seen: tuple[int, Any] | None) -> None:
    """What is seen of a job must be the kept value or a later one, and whole."""
    progress, metadata = seen or (-1, {"value": -1})
    assert promise.kept <= progress <= promise.sent
    assert metadata == {"value": progress}


def check_database(path: Path, promises: dict[str, Promise]) -> None:
    """Every promise is kept, no job was made twice, and the file is sound."""
    init_database(Settings(_env_file=None, database_url=f"sqlite:///{path}"))
    jobs = {job.job_id: (job.progress, job.metadata) for job in Job.select()}
    births = [event.entity_id for event in Event.select().where(Event.change == "created")]
    assert database.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute_sql("PRAGMA foreign_key_check").fetchall() == []
    release()
    assert sorted(births) == sorted(jobs)
    for job_id, promise in promises.items():
        check(promise, jobs.get(job_id))
