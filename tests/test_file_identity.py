"""The database file is removed or replaced while the service runs: nothing is acknowledged that would be lost."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import peewee
import pytest

from database import init_database, release, require_file
from database.file_identity import FileGone
from errors import DatabaseUnusable
from models import Job
from repos import JobRepository
from settings import Settings
from tests.conftest import Server, on_sqlite
from tests.service import accepted

Act = Callable[[Path], object]
GONE = "app.db was removed or replaced"


def remove(path: Path) -> None:
    """Remove a database with its files, as rm app.db* does."""
    for each in path.parent.glob("app.db*"):
        each.unlink()


def replace(path: Path) -> None:
    """Put a copy of the database in its place."""
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


def move_away(path: Path) -> None:
    """Give the file another name."""
    path.rename(path.with_name("elsewhere.db"))


@pytest.fixture(params=[remove, replace, move_away])
def act(request: pytest.FixtureRequest) -> Act:
    """What happens to the file."""
    return request.param  # type: ignore[no-any-return]


@on_sqlite
def test_a_script_learns_that_its_change_was_not_kept(ledger: Settings, act: Act) -> None:
    JobRepository().create(job_id="before", prompt="p")
    act(ledger.sqlite_path)
    for _ in range(2):
        with pytest.raises(FileGone, match=GONE):
            JobRepository().create(job_id="after", prompt="p")
    with pytest.raises(FileGone, match=GONE):
        require_file()
    with ThreadPoolExecutor() as threads, pytest.raises(FileGone, match=GONE):  # it would open, or make, another file
        threads.submit(Job.select().count).result()
    release()
    if not ledger.sqlite_path.exists():
        with pytest.raises(FileGone, match=GONE):  # a statement makes no empty database
            Job.select().count()
    assert act is replace or not ledger.sqlite_path.exists()
    if act is move_away:  # its log is still there
        with pytest.raises(DatabaseUnusable, match="is missing or empty"):
            init_database()
        return
    init_database()  # nothing is open any more: as after a restart
    JobRepository().create(job_id="next", prompt="p")


@on_sqlite
def test_a_file_that_is_back_is_used_again(ledger: Settings) -> None:
    JobRepository().create(job_id="before", prompt="p")
    aside = ledger.sqlite_path.with_name("aside")
    ledger.sqlite_path.rename(aside)
    with pytest.raises(peewee.OperationalError):
        JobRepository().create(job_id="refused", prompt="p")
    aside.rename(ledger.sqlite_path)
    JobRepository().create(job_id="after", prompt="p")
    assert JobRepository().get_by_id("after") is not None


def test_the_service_refuses_writes_until_it_is_restarted(server: Callable[..., Server], act: Act) -> None:
    service = server().start()
    body: dict[str, Any] = {"prompt": "p", "job_type": "none"}
    accepted(service.call("POST", "/api/jobs", {**body, "job_id": "before"}))
    assert service.call("GET", "/readyz")[0] == 200
    act(service.storage.parent / "app.db")
    for _ in range(3):
        status, problem = service.call("POST", "/api/jobs", body)
        assert status == 503 and GONE in problem["detail"] and "start them again" in problem["detail"]
    assert service.call("PATCH", "/api/jobs/before", {"message": "m"})[0] == 503
    status, ready = service.call("GET", "/readyz")
    assert status == 503 and GONE in ready["detail"] and not ready["database"]["ok"]
    assert service.call("GET", "/healthz")[0] == 200
