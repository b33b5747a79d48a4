"""Moves that are killed: every job is in one place, with all its values and files."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from files.storage import Storage
from maintenance.archive import files as files_part
from maintenance.archive import ledger as ledger_part
from maintenance.archive import moves
from maintenance.archive.database import Archive
from maintenance.archive.files import files_folder
from maintenance.archive.moves import archive, finish_unfinished, unarchive
from repos import JobRepository
from settings import Settings
from tests.archives import everyone, ids, mover_process, storage_with, stored, values
from tests.conftest import on_sqlite, thorough, wait_for
from tests.test_removals import Killed

jobs = JobRepository()
JOBS = {f"j{number}" for number in range(7)}


@pytest.fixture
def storage(ledger: Settings) -> Storage:
    """The storage folder, with finished jobs in it and their files."""
    return storage_with(ledger, dict.fromkeys(sorted(JOBS), "completed"))


@pytest.mark.timeout(240)
def test_a_job_is_in_one_place_after_any_kill(storage: Storage, ledger: Settings, tmp_path: Path) -> None:
    path, before, files = tmp_path / "archive.db", values(), stored(storage.root)
    for _ in range(thorough(20, 4)):
        process = mover_process(ledger, path)
        wait_for(lambda: ids(path) if ids() else True, 30)
        time.sleep(random.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not ids() & ids(path)  # never in both, also before the move is finished
        finish_unfinished(storage)
        assert sorted([*ids(), *ids(path)]) == sorted(JOBS)
    unarchive(path)
    assert values() == before and stored(storage.root) == files and ids(path) == set()


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, is_after: bool) -> None:
    """Be killed at the beginning or at the end of a function."""
    function = getattr(owner, name)

    def killed(*arguments: Any, **options: Any) -> None:
        if is_after:
            function(*arguments, **options)
        raise Killed

    monkeypatch.setattr(owner, name, killed)


STEPS: list[tuple[Any, str, bool]] = [
    (Archive, "stage", True),
    (Archive, "stage_return", True),
    (Archive, "hide", True),
    (ledger_part, "take_out", False),
    (ledger_part, "take_out", True),
    (ledger_part, "put_in", True),
    (moves.ArchiveFiles, "copy_back", True),
    (moves.ArchiveFiles, "tidy", False),
]
MORE: list[tuple[Any, str]] = [
    (Archive, "show"),
    (Archive, "clear"),
    (moves.ArchiveFiles, "copy_out"),
    (files_part, "remove_unnamed"),
]
STEPS += [(owner, name, is_after) for owner, name in MORE[: thorough(4, 0)] for is_after in (False, True)]


@on_sqlite
@pytest.mark.parametrize(("owner", "name", "is_after"), STEPS)
def test_a_move_that_is_killed_at_a_step_is_finished_later(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, is_after: bool
) -> None:
    path, before, files = tmp_path / "archive.db", values(), stored(storage.root)
    with monkeypatch.context() as patched:
        kill_at(patched, owner, name, is_after)
        for move in (lambda: archive(path, everyone(), files=True), lambda: unarchive(path)):
            run_until_killed(move)
    assert not ids() & ids(path)
    finish_unfinished(storage)
    assert sorted([*ids(), *ids(path)]) == sorted(JOBS)
    if path.exists():
        unarchive(path)
    assert values() == before and stored(storage.root) == files
    assert stored(files_folder(path)) == {}


def run_until_killed(move: Callable[[], object]) -> None:
    """Run a move; it may be killed."""
    with suppress(Killed):
        move()


def kill_a_move(path: Path, owner: Any, name: str, is_after: bool, files: bool = False) -> None:
    """Archive everything, and be killed at this step."""
    with pytest.MonkeyPatch.context() as patched:
        kill_at(patched, owner, name, is_after)
        run_until_killed(lambda: archive(path, everyone(), files))


def test_a_move_is_finished_after_a_kill_between_two_commits(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = tmp_path / "archive.db", values()
    kill_a_move(path, ledger_part, "take_out", is_after=True)
    assert ids() == ids(path) == set() and finish_unfinished(storage) and ids(path) == JOBS
    with monkeypatch.context() as patched:
        kill_at(patched, Archive, "hide", is_after=True)
        run_until_killed(lambda: unarchive(path))
    assert not ids() and ids(path) == JOBS and finish_unfinished(storage)
    assert unarchive(path).moved == len(JOBS) and values() == before


def test_a_deletion_by_a_client_is_not_taken_for_a_move(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    kill_a_move(path, ledger_part, "take_out", is_after=False)
    for name in JOBS:
        jobs.delete(name)
    assert finish_unfinished(storage) and ids() == ids(path) == set()


def test_a_job_with_the_same_id_does_not_hide_that_a_move_was_done(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    kill_a_move(path, ledger_part, "take_out", is_after=True)
    for name in JOBS:
        jobs.create(job_id=name, prompt="another")
    assert finish_unfinished(storage) and ids() == ids(path) == JOBS
