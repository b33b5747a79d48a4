"""The migration that adds bars and intro: to loops of an older database, and killed at every statement."""

from pathlib import Path
from typing import Any

import pytest

from database import database, init_database, is_postgresql
from errors import Invalid
from repos import LoopRepository
from tests.ledgers import fill
from tests.migrations import read
from tests.older import assert_all_or_nothing, database_before

NAME = "0007_bars"
SEAM = "UPDATE loop SET start = 1, \"end\" = 9.5, exact = {}, candidate = NULL WHERE loop_id = 'loop.1'"

WRONG: list[dict[str, Any]] = [
    {},
    {"bars": 8, "duration": 9},
    {"duration": 5, "start": 1, "end": 9},
    {"bars": 1, "start": 3, "end": 3},
]


def add_loops() -> None:
    """Three loops, one of them with a seam."""
    fill(3)
    database.execute_sql(SEAM.format("true" if is_postgresql() else 1))


old = database_before(NAME, add_loops)


def test_loops_of_an_older_database_keep_their_seconds_and_begin_with_their_track(old: Path) -> None:
    rows = read("SELECT loop_id, duration, start, exact, status, updated_at FROM loop ORDER BY loop_id")
    events = read("SELECT count(*) FROM event")
    assert init_database() == [NAME]
    assert read("SELECT loop_id, duration, start, exact, status, updated_at FROM loop ORDER BY loop_id") == rows
    assert read("SELECT DISTINCT bars, intro FROM loop") == [[None, True]]
    assert read("SELECT count(*) FROM event") == events


def test_the_migrated_rules_are_those_of_a_new_database(old: Path) -> None:
    init_database()
    loops = LoopRepository()
    assert loops.create(track_id="track-1", bars=8, start=1.0, end=90.0).duration is None
    for wrong in WRONG:
        with pytest.raises(Invalid):
            loops.create(track_id="track-1", **wrong)
    with pytest.raises(Invalid, match="end - start"):
        loops.update("loop.1", duration=5)


def test_the_migration_changes_nothing_if_it_is_killed(old: Path) -> None:
    assert_all_or_nothing(old)
