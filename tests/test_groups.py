"""Group commit: threads of one process that write at the same moment share one commit."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import cysqlite
import peewee
import pytest

from database import commit_in_groups, database, groups, release_connection
from database.groups import committing_later
from errors import Invalid
from models import Job
from records import rows
from repos import JobRepository
from settings import Settings
from tests.conftest import on_sqlite
from tests.writers import begin_together

jobs = JobRepository()
pytestmark = [on_sqlite, pytest.mark.usefixtures("pool")]
Start = Callable[..., Future[Any]]


@pytest.fixture
def pool(ledger: Settings) -> Iterator[ThreadPoolExecutor]:
    """Threads that write to a database with group commit."""
    commit_in_groups()
    with ThreadPoolExecutor(8) as threads:
        yield threads


def create(job_id: str) -> str:
    """Create a job in the thread of the caller."""
    return jobs.create(job_id=job_id, prompt="p").job_id


@pytest.fixture
def commits(pool: ThreadPoolExecutor) -> list[None]:
    """Grows with every commit of the shared connection."""
    create("warm")
    jobs.delete("warm")
    counted: list[None] = []
    database.obj._groups._connection.commit_hook(lambda: counted.append(None))
    return counted


def ids() -> list[str]:
    """The ids of all committed jobs."""
    return sorted(job.job_id for job in jobs.get_all())


def test_writers_that_wait_for_each_other_share_one_commit(pool: ThreadPoolExecutor, commits: list[None]) -> None:
    started = begin_together(pool, *[lambda name=name: create(name) for name in "abcd"])
    assert [future.result(10) for future in started] == list("abcd")
    assert ids() == list("abcd") and len(commits) == 1


def test_a_writer_alone_commits_at_once(commits: list[None]) -> None:
    assert [create("a"), create("b")] == ["a", "b"] and len(commits) == 2


def test_a_refused_write_leaves_the_others_of_its_group(pool: ThreadPoolExecutor) -> None:
    def break_rule() -> None:
        with database.atomic():
            create("gone")
            raise KeyError

    first, refused, last = begin_together(pool, lambda: create("a"), break_rule, lambda: create("b"))
    assert first.result(10) == "a" and last.result(10) == "b" and isinstance(refused.exception(10), KeyError)
    assert ids() == ["a", "b"]


def test_a_statement_that_breaks_a_rule_undoes_only_itself(pool: ThreadPoolExecutor) -> None:
    tasks = [lambda: create("a"), lambda: jobs.create(job_id="x", job_type="no word"), lambda: create("b")]
    first, refused, last = begin_together(pool, *tasks)
    assert first.result(10) == "a" and last.result(10) == "b" and isinstance(refused.exception(10), Invalid)
    assert ids() == ["a", "b"]


def test_a_change_whose_caller_fails_is_undone(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    create("a")
    monkeypatch.setattr(rows, "decoded", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        create("b")
    monkeypatch.undo()
    assert create("c") == "c" and ids() == ["a", "c"]


@pytest.mark.parametrize("failing", ["RELEASE one", "ROLLBACK TO one"])
def test_a_group_whose_savepoint_cannot_end_is_undone(pool: ThreadPoolExecutor, failing: str) -> None:
    create("a")
    shared = database.obj._groups
    connection = shared._connection
    shared._connection = Failing(connection, failing)
    with pytest.raises((cysqlite.OperationalError, peewee.OperationalError)), database.atomic():
        create("b")
        assert failing == "RELEASE one" or 1 // 0
    shared._connection = connection
    assert create("c") == "c" and ids() == ["a", "c"]


class Failing:
    """A connection on which one statement fails."""

    def __init__(self, connection: Any, failing: str) -> None:
        self._connection, self._failing = connection, failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        """Run another statement."""
        if sql == self._failing:
            raise cysqlite.OperationalError("disk I/O error")
        return self._connection.execute(sql, *values)


def test_no_write_is_acknowledged_before_the_commit_of_its_group(pool: ThreadPoolExecutor) -> None:
    may_end, is_inside = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with database.atomic():
            create("slow")
            is_inside.set()
            assert may_end.wait(10)

    first, slow = begin_together(pool, lambda: create("first"), write_slowly)
    assert is_inside.wait(10)
    assert not first.done() and ids() == []
    may_end.set()
    assert first.result(10) == "first" and slow.result(10) is None and ids() == ["first", "slow"]


def test_a_full_disk_fails_every_write_of_the_group(pool: ThreadPoolExecutor) -> None:
    def fill() -> None:
        with database.atomic():
            pages = database.execute_sql("PRAGMA page_count").fetchone()[0]
            database.execute_sql(f"PRAGMA max_page_count = {pages}")
            jobs.create(job_id="large", prompt="x" * 1_000_000)

    started = begin_together(pool, lambda: create("a"), fill, lambda: create("b"))
    errors = [future.exception(10) for future in started]
    assert isinstance(errors[1], peewee.OperationalError) and "full" in str(errors[1])
    acknowledged = [name for name, error in zip("a-b", errors, strict=True) if error is None]
    assert ids() == acknowledged


def test_a_group_whose_transaction_is_lost_acknowledges_nothing(pool: ThreadPoolExecutor) -> None:
    def lose() -> None:
        with database.atomic():
            create("lost")
            database.connection().execute("ROLLBACK")  # as SQLite does by itself when the disk is full

    [lost] = begin_together(pool, lose)
    assert isinstance(lost.exception(10), peewee.OperationalError) and ids() == []
    assert create("next") == "next" and ids() == ["next"]


def test_a_writer_that_gives_up_waiting_leaves_the_group_complete(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "TURN_SECONDS", 0.05)
    with database.atomic():
        create("first")
        late = pool.submit(create, "late")
        assert isinstance(late.exception(10), peewee.OperationalError)
    assert ids() == ["first"] and create("next") == "next"


def test_a_group_has_a_size(pool: ThreadPoolExecutor, commits: list[None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST", 2)
    started = begin_together(pool, *[lambda name=name: create(name) for name in "abcdef"])
    assert [future.result(10) for future in started] == list("abcdef")
    assert len(commits) == 4  # the one that had the turn and the first, then two by two


@pytest.mark.parametrize(("do_write", "pauses"), [(True, 1), (False, 0)])
def test_after_a_large_group_other_processes_can_write(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, do_write: bool, pauses: int
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(groups, "time", SimpleNamespace(sleep=paused.append))
    monkeypatch.setattr(database.obj._groups, "_do_others_write", lambda: do_write)
    started = begin_together(pool, *[lambda name=name: create(name) for name in "abcd"])
    assert [future.result(10) for future in started] == list("abcd")
    assert paused == [groups.PAUSE_SECONDS] * pauses


def test_the_commits_of_other_processes_are_noticed_for_a_while(pool: ThreadPoolExecutor, ledger: Settings) -> None:
    create("a")
    shared = database.obj._groups
    assert not shared._do_others_write()
    with closing(cysqlite.Connection(str(ledger.sqlite_path))) as other:
        other.execute("UPDATE job SET message = 'other'")
    assert shared._do_others_write() and shared._do_others_write()
    shared._others_until = 0.0
    assert not shared._do_others_write()


def test_a_block_that_commits_later_does_not_wait(pool: ThreadPoolExecutor) -> None:
    def write_later() -> Any:
        with committing_later() as uncommitted:
            create("later")
            return uncommitted()

    later, last = begin_together(pool, write_later, lambda: create("last"))
    later.result(10).wait()
    assert last.result(10) == "last" and ids() == ["last", "later"]


def test_reads_in_a_transaction_see_its_changes_and_reads_outside_do_not(pool: ThreadPoolExecutor) -> None:
    with database.atomic():
        create("a")
        assert jobs.get_by_id("a") is not None
        assert pool.submit(jobs.get_by_id, "a").result(10) is None
    assert jobs.get_by_id("a") is not None


def test_many_writers_lose_nothing(pool: ThreadPoolExecutor) -> None:
    def work(number: int) -> list[str]:
        made = [create(f"{number}-{turn}") for turn in range(40)]
        for job_id in made[::2]:
            jobs.update(job_id, progress=number)
        jobs.delete(made[0])
        release_connection()
        return made[1:]

    made = [job_id for names in pool.map(work, range(8)) for job_id in names]
    assert Job.select().count() == len(made) == 8 * 39
    assert {job.job_id for job in Job.select()} == set(made)


class LateTurn:
    """A lock whose owner ends its transaction just when another thread gives up waiting."""

    def __init__(self, lock: Any, owner_ends: Callable[[], object]) -> None:
        self.release, self._lock, self._owner_ends = lock.release, lock, owner_ends

    def acquire(self, timeout: float | None = None, blocking: bool = True) -> bool:
        """After the timeout, the owner has left the commit to the thread that gives up."""
        if timeout is None:
            return bool(self._lock.acquire(blocking=blocking))
        self._owner_ends()
        return False


def test_a_commit_that_was_left_to_a_writer_that_gives_up_is_made(ledger: Settings) -> None:
    shared = groups.Groups(lambda: cysqlite.Connection(str(ledger.sqlite_path)), lambda: None)
    left = []
    shared.begin().execute("INSERT INTO job (job_id) VALUES ('first')")
    shared._turn = LateTurn(shared._turn, lambda: left.append(shared.end(is_kept=True)))  # type: ignore[assignment]
    shared.begin().execute("INSERT INTO job (job_id) VALUES ('late')")
    assert not left[0].is_done and ids() == []
    shared.end(is_kept=True)
    assert left[0].is_done and ids() == ["first", "late"]
