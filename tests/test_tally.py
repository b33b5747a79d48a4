"""The tally: the numbers of jobs and loops by status, and of tracks, exact after every commit by any writer."""

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from database import database, is_postgresql
from models import Job, Loop, Track
from records import tally as tally_module
from records.filters import equals
from records.indexing import index_batch, jobs_behind
from records.search import JobSearch
from records.tally import fold_tally, tally
from repos import JobRepository, LoopRepository, TrackRepository, stats
from settings import Settings
from tests.conftest import on_postgresql, on_sqlite

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def is_exact() -> bool:
    """True if the tally has the numbers that a count of all records has."""
    numbers = [tally(name) for name in ("job", "track", "loop")]
    counted = [
        {status: count for status, count in database.execute_sql(query).fetchall()}
        for query in (
            "SELECT status, count(*) FROM job GROUP BY status",
            "SELECT '', count(*) FROM track HAVING count(*) > 0",
            "SELECT status, count(*) FROM loop GROUP BY status",
        )
    ]
    return [{status: number for status, number in row.items() if number} for row in numbers] == counted


def change_something(rng: random.Random) -> None:
    """One change of any kind."""
    name = f"j{rng.randrange(5)}"
    status = rng.choice(("failed", "cancelled", "exporting", "completed"))
    rng.choice(
        (
            lambda: jobs.create_once(job_id=name, prompt="p"),
            lambda: jobs.delete(name),
            lambda: Job.update(status=status, progress=5).where(Job.job_id >= name).execute(),
            lambda: Track.insert(track_id=name, job=name).on_conflict_ignore().execute() if has(Job, name) else None,
            lambda: (
                Loop.insert(loop_id=name, track=name, duration=9).on_conflict_ignore().execute()
                if has(Track, name)
                else None
            ),
            lambda: Loop.update(status=status.upper() if status != "exporting" else "PENDING").execute(),
            lambda: tracks.delete(name),
            lambda: jobs.claim("w"),
            fold_tally,
        )
    )()


def has(model: Any, name: str) -> bool:
    """True if there is a record with this id."""
    return bool(model.get_or_none(model._meta.primary_key == name))


def test_the_tally_is_exact_after_any_sequence_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "ROWS", 5)
    rng = random.Random(3)
    for _ in range(200):
        change_something(rng)
        assert is_exact()


def test_a_transaction_that_is_undone_is_not_counted(job: Job) -> None:
    with database.atomic() as transaction:
        jobs.create(job_id="b", prompt="p")
        assert jobs.count() == 2
        transaction.rollback()
    assert jobs.count() == 1 and is_exact()


def test_counts_and_statistics_are_read_from_the_tally(loop: Loop) -> None:
    database.execute_sql("UPDATE tally SET number = number + 10 WHERE entity = 'job' AND status = 'pending'")
    assert (jobs.count(), jobs.count(jobs.in_status("pending", "failed")), tracks.count(), loops.count()) == (
        11,
        11,
        1,
        1,
    )
    assert stats()["jobs"]["pending"] == 11 and stats()["jobs"]["exporting"] == 0 and stats()["tracks"] == 1
    assert jobs.count(jobs.in_status("failed")) == jobs.count(jobs.in_status("loading_model", "exporting")) == 0


def test_a_count_with_another_condition_counts_the_records(job: Job) -> None:
    type_is = [equals(Job.job_type, name) for name in ("diffrhythm", "synth")]
    assert [jobs.count(jobs.in_status("pending"), condition) for condition in type_is] == [1, 0]


@on_sqlite
def test_a_replaced_job_is_counted_once(kind: str) -> None:
    for status in ("pending", "failed"):
        Job.replace(job_id="a", prompt="p", status=status).execute()
        assert jobs.count(jobs.in_status(status)) == jobs.count() == 1


def replace_all(path: Path) -> None:
    """What a shell does that replaces rows without running the triggers of their deletion."""
    with closing(sqlite3.connect(path)) as shell, shell:
        shell.execute("REPLACE INTO job (job_id, prompt, status) SELECT job_id, 'thunder', 'failed' FROM job")
        shell.execute("REPLACE INTO track (track_id, job_id) SELECT track_id, job_id FROM track")
        shell.execute("REPLACE INTO loop (loop_id, track_id, duration) SELECT loop_id, track_id, 9 FROM loop")


@on_sqlite
@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_shell_that_replaces_rows_keeps_the_numbers(ledger: Settings, loop: Loop, is_indexed: bool) -> None:
    for _ in range(3):
        while is_indexed and jobs_behind():
            index_batch()
        replace_all(ledger.sqlite_path)
        assert is_exact() and [repo.count() for repo in (jobs, tracks, loops)] == [1, 1, 1]
        assert (JobSearch("rain").count(), JobSearch("thunder").count()) == (0, 1)
    assert jobs.count(jobs.in_status("failed")) == 1


@on_sqlite
def test_a_request_that_is_sent_again_is_no_replacement(ledger: Settings, job: Job) -> None:
    for status in ("exporting", "completed"):
        Job.insert(job_id=job.job_id, prompt="p").on_conflict_ignore().execute()
        jobs.update(job.job_id, status=status)
    jobs.delete(job.job_id)
    for _ in range(2):
        Job.insert(job_id=job.job_id, prompt="p").on_conflict_ignore().execute()
        assert is_exact() and jobs.count() == 1


@on_postgresql
def test_folding_leaves_one_row_for_each_number(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "ROWS", 3)
    for number in range(10):
        jobs.create(job_id=f"j{number}", prompt="p")
    fold_tally()
    assert database.execute_sql("SELECT * FROM tally").fetchall() == [("job", "pending", 10)]


@on_postgresql
def test_a_script_without_housekeeping_folds_when_it_counts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "ROWS", 3)
    monkeypatch.setattr(tally_module, "MANY_ROWS", 5)
    for number in range(10):
        jobs.create(job_id=f"j{number}", prompt="p")
        assert jobs.count() == number + 1
        assert database.execute_sql("SELECT count(*) FROM tally").fetchone()[0] <= 6


@on_postgresql
def test_processes_that_write_and_fold_at_once_lose_no_count(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "ROWS", 3)

    def write(writer: int) -> None:
        for number in range(30):
            jobs.create(job_id=f"{writer}-{number}", prompt="p")
            fold_tally()
        database.close()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_postgresql() and is_exact() and jobs.count() == 120
