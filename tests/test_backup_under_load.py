"""Backups while a server answers 200 writes a second: each has every job that was acknowledged before it began."""

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from database import database, init_database, leave
from maintenance.backup import backup
from maintenance.restore import restore
from models import Job
from settings import Settings
from tests.conftest import thorough, wait_for
from tests.service import Caller, Server, accepted

pytestmark = pytest.mark.usefixtures("pg_tools")
BACKUPS = thorough(100, 2)
RATE = 200.0  # writes a second


class Writer:
    """Creates jobs at RATE over one connection. `acknowledged` has their ids, `seconds` the time of each answer."""

    def __init__(self, port: int, stop: threading.Event) -> None:
        self.port, self.stop = port, stop
        self.acknowledged: list[str] = []
        self.seconds: list[tuple[float, float]] = []

    def run(self) -> None:
        """Write until stop is set."""
        begun = time.monotonic()
        with closing(Caller(self.port)) as caller:
            while not self.stop.wait(max(0.0, begun + len(self.acknowledged) / RATE - time.monotonic())):
                sent = time.monotonic()
                job = accepted(caller("POST", "/api/jobs", {"prompt": "ambient rain, soft piano"}))
                self.seconds.append((sent, time.monotonic() - sent))
                self.acknowledged.append(job["job_id"])


@contextmanager
def writing(port: int) -> Iterator[Writer]:
    """A writer in a thread."""
    stop = threading.Event()
    writer = Writer(port, stop)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        stop.set()
        thread.join()


def restored_ids(made: Path, target: Settings) -> set[str]:
    """The jobs in a backup that is restored to another place. What was there before is deleted."""
    before = restore(target, made).database_before
    init_database(target)
    ids = {job_id for (job_id,) in Job.select(Job.job_id).tuples()}
    if before and target.is_postgresql:
        database.connection().autocommit = True
        database.connection().execute(f'DROP DATABASE "{before}"')
    elif before:
        Path(before).unlink()
    leave()
    return ids


@pytest.fixture
def target(settings: Settings, kind: str, tmp_path: Path) -> Iterator[Settings]:
    """The settings of another database, which does not exist yet."""
    name = f"target{uuid.uuid4().hex}"
    url = {"sqlite": f"sqlite:///{tmp_path}/{name}/app.db", "postgresql": make_conninfo_url(settings, name)}[kind]
    yield Settings(_env_file=None, database_url=url, storage_dir=tmp_path / "target-files")
    if kind == "postgresql":
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def make_conninfo_url(settings: Settings, name: str) -> str:
    """The URL of another database on the same server."""
    return re.sub("/t[0-9a-f]{32}[?]", f"/{name}?", settings.database_url)


@pytest.mark.timeout(3000)
def test_every_backup_has_every_write_that_was_acknowledged_before(
    settings: Settings, target: Settings, server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(DATABASE_URL=settings.database_url).start()
    with writing(running.port) as writer:
        for number in range(BACKUPS):
            goal = len(writer.acknowledged) + 20
            wait_for(lambda goal=goal: len(writer.acknowledged) >= goal, 30)  # type: ignore[misc]
            before = set(writer.acknowledged)
            made = backup(settings, tmp_path / "copies" / f"{number}")
            assert before <= restored_ids(made.path, target)
