"""The seam that a loop is to use, a candidate or start and end, in the database and its repository."""

import math
from typing import Any

import pytest

from database import database, init_database
from errors import Invalid, LeaseLost, WrongStatus
from models import LOOP_STATUSES, Event, Loop, Track
from repos import LoopRepository, TrackRepository
from settings import Settings
from tests.migrations import drop_seam_columns, read

loops = LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")
SEAM = {"start": 2.5, "end": 12.5}
# (the fields of an order, the field that is wrong, what the sentence says)
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"candidate": 0}, "candidate", "must be an integer from 1 to 5"),
    ({"candidate": 6}, "candidate", "must be an integer from 1 to 5"),
    ({"candidate": 1, **SEAM}, "candidate", "cannot be combined with start and end"),
    ({"start": 1.0}, "end", "end is required with start"),
    ({"end": 1.0}, "start", "start is required with end"),
    ({"start": -0.1, "end": 5.0}, "start", "must be a number of seconds from 0"),
    ({"start": 5.0, "end": 5.0}, "end", "end - start must be between 0.5 seconds and duration"),
    ({"start": 5.0, "end": 5.4}, "end", "end - start must be between 0.5 seconds and duration"),
    ({"start": 9.0, "end": 5.0}, "end", "end - start must be between 0.5 seconds and duration"),
    ({"start": 0.0, "end": 20.1}, "end", "end - start must be between 0.5 seconds and duration"),
    ({"start": 20.0, "end": 30.6}, "end", "at most 30.5, the duration of the track"),
    ({"start": 0.0, "end": math.inf}, "end", "at most 30.5"),
    ({"exact": True}, "exact", "exact needs start and end"),
    ({"exact": True, "candidate": 1}, "exact", "exact needs start and end"),
]


@pytest.mark.parametrize(
    "seam", [{"candidate": 1}, {"candidate": 5}, SEAM, {**SEAM, "exact": True}, {"start": 0.1, "end": 20.1}, {}]
)
def test_a_loop_stores_the_seam_to_use(seam: dict[str, Any], track: Track) -> None:
    made = loops.create(track_id="track-1", duration=20, **seam)
    read_again = loops.get_by_id(made.loop_id)
    assert read_again is not None
    expected = {"candidate": None, "start": None, "end": None, "exact": False, **seam}
    assert {name: getattr(read_again, name) for name in expected} == expected
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(("seam", "field", "words"), WRONG)
def test_a_seam_that_breaks_a_rule_is_refused_by_its_field(
    seam: dict[str, Any], field: str, words: str, track: Track
) -> None:
    with pytest.raises(Invalid) as refused:
        loops.create(track_id="track-1", duration=20, **seam)
    assert refused.value.errors[0]["field"] == field and words in str(refused.value)
    assert Loop.select().count() == 0


def test_a_changed_seam_obeys_the_same_rules(loop: Loop) -> None:
    changed = loops.update("loop-1", start=1.0, end=9.0, exact=True)
    assert changed is not None and changed.version > loop.version
    with pytest.raises(Invalid, match="candidate cannot be combined with start and end"):
        loops.update("loop-1", candidate=2)
    with pytest.raises(Invalid, match="exact needs start and end"):
        loops.update("loop-1", start=None, end=None)
    loops.update("loop-1", start=None, end=None, exact=False, candidate=2)
    assert read('SELECT start, "end", candidate FROM loop') == [[None, None, 2]]


@pytest.mark.parametrize("name", ["start", "end"])
@pytest.mark.parametrize("value", ["x", "", [5], {}, 10**400], ids=repr)
def test_a_time_that_is_no_number_is_refused_by_its_field(name: str, value: Any, loop: Loop) -> None:
    expected = f"{name} must be a number of seconds from 0 to a million"
    with pytest.raises(Invalid, match=expected):
        loops.create(track_id="track-1", duration=20, **{**SEAM, name: value})
    with pytest.raises(Invalid, match=expected):
        loops.update("loop-1", **{**SEAM, name: value})


def test_a_candidate_that_is_no_number_is_refused(kind: str, track: Track) -> None:
    # PostgreSQL does not say which column it refuses.
    expected = "candidate must be an integer" if kind == "sqlite" else "a value does not fit its field"
    with pytest.raises(Invalid, match=expected):
        loops.create(track_id="track-1", duration=20, candidate="x")


@pytest.mark.parametrize(
    "ids", [{"track_id": "a\0b"}, {"track_id": "\ud800"}, {"track_id": 5}, {"loop_id": "\ud800"}], ids=repr
)
def test_an_odd_id_with_a_seam_is_refused(ids: dict[str, Any], track: Track) -> None:
    with pytest.raises(Invalid):
        loops.create(**{"track_id": "track-1", **ids}, duration=20, **SEAM)


def test_numbers_in_text_are_seconds(track: Track) -> None:
    made = loops.create(track_id="track-1", duration=20, start="1", end="10")
    assert read('SELECT start, "end" FROM loop') == [[1.0, 10.0]] and loops.update(made.loop_id, end="9")


@pytest.mark.parametrize("status", [status for status in LOOP_STATUSES.all if status not in LOOP_STATUSES.changeable])
@pytest.mark.parametrize("change", [{"candidate": 2}, {"start": 1.0, "end": 9.0}, {"exact": False}], ids=str)
def test_the_seam_of_a_running_or_completed_loop_cannot_be_changed(
    loop: Loop, status: str, change: dict[str, Any]
) -> None:
    loops.update("loop-1", status=status)
    with pytest.raises(WrongStatus, match=f"loop-1 is {status}: .* only be changed while it is PENDING, FAILED or CAN"):
        loops.update("loop-1", **change)
    assert read('SELECT candidate, start, "end", exact FROM loop') == [[None, None, None, False]]
    assert loops.update("loop-1", priority=3) is not None


@pytest.mark.parametrize("status", LOOP_STATUSES.changeable)
def test_the_seam_of_a_loop_that_waits_or_has_failed_can_be_changed(loop: Loop, status: str) -> None:
    loops.update("loop-1", status=status)
    changed = loops.update("loop-1", candidate=2)
    assert changed is not None and changed.candidate == 2


def test_a_leased_loop_keeps_its_seam_and_its_worker_may_not_change_it(loop: Loop) -> None:
    claimed = loops.claim("worker-1")
    assert claimed is not None
    for token in (None, claimed.lease_token):
        with pytest.raises(WrongStatus, match="candidate can only be changed"):
            loops.update("loop-1", candidate=2, lease_token=token)
    with pytest.raises(LeaseLost):
        loops.update("loop-1", candidate=2, progress=5)


def test_a_changed_seam_ends_before_the_end_of_the_track(loop: Loop) -> None:
    with pytest.raises(Invalid, match=r"end must be at most 30.5, the duration of the track"):
        loops.update("loop-1", start=20.0, end=31.0)
    TrackRepository().create(track_id="short", job_id="job-1", duration=10)
    loops.update("loop-1", start=2.0, end=12.0)
    with pytest.raises(Invalid, match="end must be at most 10, "):
        loops.update("loop-1", track_id="short")
    assert loops.update("nobody", end=31.0) is None
    assert read('SELECT start, "end", track_id FROM loop') == [[2.0, 12.0, "track-1"]]


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


def test_the_loops_of_an_older_database_use_the_best_seam(ledger: Settings, loop: Loop) -> None:
    before, events = read("SELECT updated_at, duration, status FROM loop"), Event.select().count()
    drop_seam_columns()
    assert init_database(ledger) == ["0003_seams", "0009_library_index"]
    assert read("SELECT updated_at, duration, status FROM loop") == before and Event.select().count() == events
    assert read('SELECT candidate, start, "end", exact FROM loop') == [[None, None, None, False]]
    with pytest.raises(Invalid, match="candidate"):
        loops.update("loop-1", candidate=9)
    assert loops.create(track_id="track-1", duration=20, candidate=2).candidate == 2
