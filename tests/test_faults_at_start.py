"""A start with a database that is damaged, missing, or without its log: one sentence, or a service; no file changes."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from peewee import DatabaseError

from database import init_database, leave, require_writable
from database.damage import is_damaged
from errors import DatabaseUnusable
from repos import JobRepository
from settings import Settings
from tests.conftest import on_sqlite, thorough
from tests.test_damage import JOBS, PAGES_OF_ALL, Damage, damage, fill

pytestmark = on_sqlite


def empty(path: Path) -> None:
    """Leave a file of no bytes."""
    path.write_bytes(b"")


@pytest.mark.parametrize("act", [Path.unlink, empty])
def test_a_log_without_its_database_is_not_lost(ledger: Settings, tmp_path: Path, act: Callable[[Path], None]) -> None:
    JobRepository().create(job_id="acknowledged", prompt="p")
    path, log = tmp_path / "killed" / "app.db", tmp_path / "killed" / "app.db-wal"
    path.parent.mkdir()
    for suffix in ("", "-wal"):  # as SIGKILL leaves them
        shutil.copy(f"{ledger.sqlite_path}{suffix}", f"{path}{suffix}")
    whole, changes = path.read_bytes(), log.read_bytes()
    act(path)
    with pytest.raises(DatabaseUnusable, match="is missing or empty, and its log app.db-wal still has changes"):
        init_database(Settings(_env_file=None, db_path=path))
    assert log.read_bytes() == changes
    path.write_bytes(whole)
    init_database(Settings(_env_file=None, db_path=path))
    assert JobRepository().get_by_id("acknowledged") is not None


def outcome(job_id: str) -> str:
    """What comes of reading a job of a damaged database."""
    try:
        return "missing" if JobRepository().get_by_id(job_id) is None else "read"
    except DatabaseError as error:
        return "damaged" if is_damaged(error) else repr(error)


@pytest.mark.parametrize("seed", range(thorough(40, 4)))
@pytest.mark.parametrize("change", PAGES_OF_ALL)
def test_a_damaged_database_is_refused_with_advice_or_served(
    ledger: Settings, change: Damage | None, seed: int
) -> None:
    fill(ledger)
    leave()
    damage(ledger.sqlite_path, change, random.Random(seed))
    before = ledger.sqlite_path.read_bytes()
    try:
        init_database(ledger)
        require_writable()
    except DatabaseUnusable as error:
        assert "is no healthy SQLite database" in str(error) and "restore a backup" in str(error)
        assert ledger.sqlite_path.read_bytes() == before
    else:
        read = [outcome(f"j{number}") for number in range(JOBS)]
        assert set(read) <= {"read", "missing", "damaged"} and (change is None or "read" in read)
