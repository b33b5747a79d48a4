"""The clock of the machine is set: times of a record stay in order, lists end, and no file is removed too early."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from database import database
from files.age import age
from files.storage import PART_SECONDS, Storage
from maintenance.archive import regular
from maintenance.clock import STEADY_SECONDS, WatchedClock
from maintenance.housekeeping import Housekeeping
from models import Discard, Job, Loop, utc_now
from records import forecast as forecasting
from records import leases, repository
from records.forecast import forecast
from repos import JobRepository, LoopRepository, Page
from settings import Settings
from tests.conftest import on_sqlite
from tests.test_forecast import finished
from web.pages import undo

DAY = 86_400
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR, -YEAR], ids=["1h", "-1h", "1y", "-1y"])
REPOS: dict[str, Any] = {"job-1": JobRepository(), "loop-1": LoopRepository()}
jobs = REPOS["job-1"]
pytestmark = pytest.mark.usefixtures("ledger")


class Wall:
    """The wall clock of the repositories, which a test can set. The triggers use that of the database."""

    def __init__(self) -> None:
        self.jump = timedelta(0)

    def now(self) -> datetime:
        """The time now."""
        return utc_now() + self.jump


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """The clock of the repositories."""
    wall = Wall()
    for module in (leases, repository, forecasting, undo):
        monkeypatch.setattr(module, "utc_now", wall.now)
    return wall


def by_a_model(repo: Any, record_id: str, token: str) -> None:
    """A change as a script makes it, with a time of its own."""
    record = repo.get_by_id(record_id)
    record.message, record.updated_at = "a script", utc_now() - 2 * YEAR
    record.save()


def by_sql(repo: Any, record_id: str, token: str) -> None:
    """A change in a shell."""
    database.execute_sql(f"UPDATE {repo.name} SET priority = priority + 1")


CHANGES: list[Callable[[Any, str, str], Any]] = [
    lambda repo, record_id, token: repo.heartbeat(record_id, token),
    lambda repo, record_id, token: repo.update(record_id, lease_token=token, progress=5),
    lambda repo, record_id, token: (
        repo.update(record_id, lease_token=token, metadata={"a": 1})
        if repo is jobs
        else repo.update(record_id, lease_token=token, format="WAV")
    ),
    by_a_model,
    by_sql,
    lambda repo, record_id, token: repo.cancel(record_id),
    lambda repo, record_id, token: repo.update(record_id, lease_token=token, status=repo.statuses.failed),
    lambda repo, record_id, token: repo.retry(record_id),
    lambda repo, record_id, token: repo.requeue(repo.leases()) if repo.claim("w") else None,
]


@JUMPS
def test_no_time_of_a_record_goes_back(wall: Wall, loop: Loop, jump: timedelta) -> None:
    for record_id, repo in REPOS.items():
        wall.jump = jump
        token, last = repo.claim("w", 60).lease_token, repo.get_by_id(record_id)
        for change in CHANGES:
            wall.jump = -wall.jump
            changed = change(repo, record_id, token)
            record = repo.get_by_id(record_id)
            assert record.created_at <= last.updated_at < record.updated_at
            assert not isinstance(changed, Job | Loop) or changed.updated_at == record.updated_at
            assert record.status != repo.statuses.failed or record.started_at <= record.finished_at
            last = record


@JUMPS
@pytest.mark.parametrize("sort", ["created_at", "updated_at"])
@pytest.mark.parametrize("descending", [True, False])
def test_a_list_ends_and_has_each_record_once_while_the_clock_jumps(
    wall: Wall, jump: timedelta, sort: str, descending: bool
) -> None:
    for number in range(12):
        wall.jump = -wall.jump or jump
        jobs.create(job_id=f"old-{number}", prompt="p")
    seen, after = [], None
    for number in range(99):
        page = jobs.page(Page(sort=sort, descending=descending, limit=2, after=after))
        if not page:
            break
        seen += [job.job_id for job in page]
        after = getattr(page[-1], sort), page[-1].job_id
        if number < 12:
            wall.jump = -wall.jump
            jobs.create(job_id=f"new-{number}", prompt="p")
    assert number < 24 and len(set(seen)) == len(seen)
    assert {f"old-{number}" for number in range(12)} <= set(seen)


@on_sqlite
def test_a_running_job_never_needs_longer_than_a_whole_one(wall: Wall, job: Job) -> None:
    finished("diffrhythm")
    jobs.claim("w")
    whole = forecast().done_in["job-1"]
    for jump in (-HOUR, -YEAR):
        wall.jump = jump
        estimate = forecast().done_in["job-1"]
        assert estimate is not None and whole is not None and estimate.seconds <= whole.seconds + 1


@on_sqlite
@JUMPS
def test_the_button_of_an_undo_counts_down_from_at_most_ten_seconds(wall: Wall, jump: timedelta) -> None:
    wall.jump = jump
    assert 0 <= undo.seconds_left(Discard(expires_at=utc_now() + timedelta(seconds=10))) <= 10


def aged(path: Path, seconds: float) -> Path:
    """A file that seems to be so many seconds old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - seconds,) * 2)
    return path


@pytest.mark.parametrize("seconds", [10, -10, -3600, 3600])
def test_a_file_is_as_old_as_its_time_says(tmp_path: Path, seconds: float) -> None:
    assert age(aged(tmp_path / "file", seconds)) == pytest.approx(seconds, abs=5)


def test_a_file_from_the_future_becomes_old_from_now_on(tmp_path: Path) -> None:
    file = aged(tmp_path / "file", -365 * DAY)
    assert age(file) == 0 and 0 <= age(file) < 60


@pytest.fixture
def house(ledger: Settings) -> Iterator[tuple[Housekeeping, list[float]]]:
    """Housekeeping, and [the seconds by which its wall clock has jumped, the seconds that have passed]."""
    house, clocks = Housekeeping(Storage(ledger), threading.Event()), [0.0, 0.0]
    begun = utc_now()
    house.clock = WatchedClock(lambda: begun + timedelta(seconds=sum(clocks)), lambda: clocks[1])
    yield house, clocks


@on_sqlite
@pytest.mark.parametrize("jump", [3600, 365 * DAY])
def test_an_unfinished_file_stays_for_an_hour_after_a_jump(house: Any, jump: float) -> None:
    house, clocks = house
    part = aged(house.storage.part(), 2 * PART_SECONDS)
    clocks[0] += jump
    house.remove_old_files()
    assert part.exists()
    clocks[1] += STEADY_SECONDS - 1
    house.remove_old_files()
    assert part.exists()
    clocks[1] += 1
    house.remove_old_files()
    assert not part.exists()


@on_sqlite
def test_an_unfinished_file_of_a_killed_process_goes_when_another_one_starts(house: Any) -> None:
    house, _ = house
    part = aged(house.storage.part(), 2 * PART_SECONDS)
    house.remove_old_files()
    assert not part.exists()


@on_sqlite
def test_nothing_is_archived_in_the_hour_after_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, runs, looked, stopping = [False], [], threading.Event(), threading.Event()

    class Clock:
        def is_steady(self) -> bool:
            looked.set()
            return steady[0]

    monkeypatch.setattr(regular, "WatchedClock", Clock)
    monkeypatch.setattr(regular, "SECONDS", 0.001)
    monkeypatch.setattr(regular, "run", lambda stopping: (runs.append(1), stopping.set()))
    thread = regular.start(stopping)
    assert looked.wait(10) and not runs
    steady[0] = True
    assert stopping.wait(10)
    thread.join(10)
    assert runs == [1]
