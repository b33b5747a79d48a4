"""The seam that a loop wants: a candidate, or start and end; in the database and its repository."""

import math
from typing import Any

import pytest

from database import database, init_database
from errors import Invalid
from models import Event, Loop, Track
from repos import LoopRepository, TrackRepository
from settings import Settings
from tests.migrations import forget_the_seams, read

loops = LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")
SEAM = {"start": 2.5, "end": 12.5}
# (the fields of an order, the field that is wrong, what the sentence says)
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"candidate": 0}, "candidate", "must be an integer from 1 to 5"),
    ({"candidate": 6}, "candidate", "must be an integer from 1 to 5"),
    ({"candidate": 1, **SEAM}, "candidate", "must not come with start and end"),
    ({"start": 1.0}, "end", "end is required with start"),
    ({"end": 1.0}, "start", "start is required with end"),
    ({"start": -0.1, "end": 5.0}, "start", "must be a number of seconds from 0"),
    ({"start": 5.0, "end": 5.0}, "end", "at least 0.5 seconds after start"),
    ({"start": 5.0, "end": 5.4}, "end", "at least 0.5 seconds after start"),
    ({"start": 9.0, "end": 5.0}, "end", "at least 0.5 seconds after start"),
    ({"start": 0.0, "end": 20.1}, "end", "as many seconds after it as duration says"),
    ({"start": 20.0, "end": 30.6}, "end", "at most 30.5, the duration of the track"),
    ({"start": 0.0, "end": math.inf}, "end", "at most 30.5"),
    ({"exact": True}, "exact", "must not be true without start and end"),
    ({"exact": True, "candidate": 1}, "exact", "must not be true without start and end"),
]


@pytest.mark.parametrize(
    "seam", [{"candidate": 1}, {"candidate": 5}, SEAM, {**SEAM, "exact": True}, {"start": 0.1, "end": 20.1}, {}]
)
def test_a_loop_remembers_the_seam_that_it_wants(seam: dict[str, Any], track: Track) -> None:
    made = loops.create(track_id="track-1", duration=20, **seam)
    read_again = loops.get_by_id(made.loop_id)
    assert read_again is not None
    wanted = {"candidate": None, "start": None, "end": None, "exact": False, **seam}
    assert {name: getattr(read_again, name) for name in wanted} == wanted == {n: getattr(made, n) for n in wanted}


@pytest.mark.parametrize(("seam", "field", "words"), WRONG)
def test_a_seam_that_breaks_a_rule_is_refused_by_its_field(
    seam: dict[str, Any], field: str, words: str, track: Track
) -> None:
    with pytest.raises(Invalid) as refused:
        loops.create(track_id="track-1", duration=20, **seam)
    assert refused.value.errors[0]["field"] == field and words in str(refused.value)
    assert Loop.select().count() == 0


def test_a_change_of_the_seam_is_held_to_the_same_rules(loop: Loop) -> None:
    changed = loops.update("loop-1", start=1.0, end=9.0, exact=True)
    assert changed is not None and changed.version > loop.version
    with pytest.raises(Invalid, match="candidate must not come with start and end"):
        loops.update("loop-1", candidate=2)
    with pytest.raises(Invalid, match="exact must not be true"):
        loops.update("loop-1", start=None, end=None)
    loops.update("loop-1", start=None, end=None, exact=False, candidate=2)
    assert read('SELECT start, "end", candidate FROM loop') == [[None, None, 2]]


def test_a_change_of_the_seam_by_any_program_is_an_event(loop: Loop) -> None:
    before = Event.select().count()
    database.execute_sql("UPDATE loop SET candidate = 3")
    changed = loops.get_by_id("loop-1")
    assert Event.select().count() == before + 1 and changed is not None and changed.version > loop.version


def test_a_track_of_unknown_duration_takes_any_end(track: Track) -> None:
    TrackRepository().update("track-1", duration=None)
    assert loops.create(track=track, duration=600, start=1.0, end=400.0).end == 400


def test_an_order_that_is_sent_again_is_the_same_though_the_track_is_shorter_now(track: Track) -> None:
    order = {"loop_id": "again", "track_id": "track-1", "duration": 20, **SEAM}
    assert loops.create_once(**order)[1]
    TrackRepository().update("track-1", duration=4)
    assert not loops.create_once(**order)[1]


def test_the_loops_of_an_older_database_want_the_best_seam(ledger: Settings, loop: Loop) -> None:
    before, events = read("SELECT updated_at, duration, status FROM loop"), Event.select().count()
    forget_the_seams()
    assert init_database(ledger) == ["0003_seams"]
    assert read("SELECT updated_at, duration, status FROM loop") == before and Event.select().count() == events
    assert read('SELECT candidate, start, "end", exact FROM loop') == [[None, None, None, False]]
    with pytest.raises(Invalid, match="candidate"):
        loops.update("loop-1", candidate=9)
    assert loops.create(track_id="track-1", duration=20, candidate=2).candidate == 2
