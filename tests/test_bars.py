"""Loops that are ordered by bars, and loops without intro: the rules of the database, REST, forms and commands."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from database import database
from errors import Invalid, WrongStatus
from models import LOOP_STATUSES, Event, Loop, Track
from repos import LoopRepository
from tests.answers import problem
from tests.migrations import read
from web.pages.entries import loop_of

loops = LoopRepository()
BARS: dict[str, Any] = {"track_id": "track-1", "bars": 8}
ORDERED = "SELECT duration, bars, intro FROM loop"
# (the fields of an order, the field that is wrong, what the sentence says)
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"bars": 0}, "bars", "must be an integer from 1 to 512"),
    ({"bars": 513}, "bars", "must be an integer from 1 to 512"),
    ({}, "duration", "send duration (seconds) or bars"),
    ({"bars": 8, "duration": 20}, "bars", "send duration or bars, not both"),
    ({"bars": 8, "intro": False, "fade_in_out": True}, "intro", 'fade_in_out and "intro": false cannot be combined'),
    ({"bars": 8, "start": 1.0, "end": 1.2}, "end", "end - start must be between 0.5 seconds"),
    ({"duration": 5, "start": 1.0, "end": 9.0}, "end", "end - start must be between 0.5 seconds and duration"),
]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    "order", [{"bars": 1}, {"bars": 512, "intro": False}, {"bars": 8, "fade_in_out": True}, {"duration": 9.5}], ids=str
)
def test_a_loop_is_ordered_by_seconds_or_by_bars(order: dict[str, Any], track: Track) -> None:
    made = loops.create(track_id="track-1", **order)
    expected = [order.get("duration"), order.get("bars"), order.get("intro", True)]
    assert read(ORDERED) == [expected] == [[made.duration, made.bars, made.intro]]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(("order", "field", "words"), WRONG)
def test_an_order_that_breaks_a_rule_is_refused_by_its_field(
    order: dict[str, Any], field: str, words: str, track: Track
) -> None:
    with pytest.raises(Invalid) as refused:
        loops.create(track_id="track-1", **order)
    assert refused.value.errors[0]["field"] == field and words in str(refused.value)
    assert Loop.select().count() == 0


@pytest.mark.usefixtures("ledger")
def test_a_loop_of_bars_gets_its_seconds_when_it_is_completed(track: Track) -> None:
    loop = loops.create(**BARS, start=1.0, end=30.0)
    with pytest.raises(Invalid, match="send duration or bars, not both"):
        loops.update(loop.loop_id, status="ANALYZING", duration=16.0)
    done = loops.update(loop.loop_id, status="COMPLETED", duration=16.0)
    assert done is not None and read(ORDERED) == [[16.0, 8, True]] and done.length == "8 bars"


@pytest.mark.usefixtures("ledger")
def test_an_order_in_seconds_can_become_one_in_bars(loop: Loop) -> None:
    with pytest.raises(Invalid, match="also send null for the old one"):
        loops.update("loop-1", bars=8)
    assert loops.update("loop-1", bars=8, duration=None) is not None and read(ORDERED) == [[None, 8, True]]
    assert loops.update("loop-1", bars=None, duration=30) is not None and read(ORDERED) == [[30.0, None, True]]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("status", [status for status in LOOP_STATUSES.all if status not in LOOP_STATUSES.changeable])
@pytest.mark.parametrize("change", [{"bars": 4}, {"intro": False}], ids=str)
def test_the_bars_of_a_running_or_completed_loop_cannot_be_changed(
    track: Track, status: str, change: dict[str, Any]
) -> None:
    loop = loops.create(**BARS)
    loops.update(loop.loop_id, status=status)
    with pytest.raises(WrongStatus, match="only be changed while it is PENDING, FAILED or CANCELLED"):
        loops.update(loop.loop_id, **change)
    assert read("SELECT bars, intro FROM loop") == [[8, True]]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("change", ["bars = 4, duration = NULL", "intro = false"])
def test_a_change_of_the_length_by_any_program_is_an_event(loop: Loop, change: str) -> None:
    before = Event.select().count()
    database.execute_sql(f"UPDATE loop SET {change}")
    changed = loops.get_by_id("loop-1")
    assert Event.select().count() == before + 1 and changed is not None and changed.version > loop.version


# --- REST, forms


def test_rest_takes_bars_in_place_of_duration(client: FlaskClient, track: Track) -> None:
    made = client.post("/api/loops", json={**BARS, "intro": 0, "loop_id": "eight"})
    assert made.status_code == 201
    assert {name: made.json[name] for name in ("duration", "bars", "intro")} == {
        "duration": None,
        "bars": 8,
        "intro": False,
    }
    assert client.post("/api/loops", json={**BARS, "intro": 0, "loop_id": "eight"}).status_code == 200
    changed = client.patch("/api/loops/eight", json={"bars": None, "duration": 30})
    assert (changed.json["duration"], changed.json["bars"], changed.json["intro"]) == (30.0, None, False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"bars": 1.5}, "bars"),
        ({"bars": "8"}, "bars"),
        ({"bars": True}, "bars"),
        ({"bars": 2**62}, "bars"),
        ({"bars": 8, "intro": "false"}, "intro"),
        ({"bars": None}, "duration"),
        ({"bars": None, "duration": None}, "duration"),
        *((order, field) for order, field, _ in WRONG),
    ],
    ids=str,
)
def test_rest_refuses_a_wrong_length_by_its_field(
    client: FlaskClient, track: Track, body: dict[str, Any], field: str
) -> None:
    refusal = problem(client.post("/api/tracks/track-1/loops", json=body), 422, "invalid")
    assert [error["field"] for error in refusal["errors"]] == [field]


def test_a_loop_of_bars_that_is_not_made_yet_has_a_page_and_a_list(client: FlaskClient, track: Track) -> None:
    loops.create(**BARS, loop_id="eight")
    page = client.get("/jobs/job-1")
    assert page.status_code == 200 and 'id="loop-eight"' in page.text
    [listed] = client.get("/api/tracks/track-1/loops").json["items"]
    assert (listed["duration"], listed["bars"]) == (None, 8)


@pytest.mark.parametrize(
    ("entries", "body"),
    [
        ({"bars": " 8 ", "duration": ""}, {"bars": 8}),
        ({"bars": "8", "intro": "false"}, {"bars": 8, "intro": False}),
        ({"duration": "60", "bars": ""}, {"duration": 60}),
        ({"duration": "60", "intro": "true"}, {"duration": 60, "intro": True}),
    ],
    ids=str,
)
def test_the_form_of_a_loop_has_seconds_or_bars(entries: dict[str, str], body: dict[str, Any]) -> None:
    assert loop_of({"format": "WAV", **entries}) == {"fade_in_out": False, "format": "WAV", **body}


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ({"bars": "0"}, "bars"),
        ({"bars": "513"}, "bars"),
        ({"bars": "1.5"}, "bars"),
        ({"bars": "eight"}, "bars"),
        ({"bars": "8", "duration": "60"}, "bars"),
        ({"bars": "8", "intro": "false", "fade_in_out": "true"}, "intro"),
        ({"bars": "", "duration": ""}, "duration"),
        ({}, "duration"),
    ],
    ids=str,
)
def test_the_form_of_a_loop_refuses_a_wrong_length_by_its_field(entries: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        loop_of({"format": "WAV", **entries})
    assert refused.value.errors[0]["field"] == field


def test_the_saved_file_of_a_loop_has_its_bars_in_the_name(client: FlaskClient, track: Track, storage: Any) -> None:
    (storage.root / "a.mp3").write_bytes(b"x")
    loop = loops.create(**BARS)
    loops.update(loop.loop_id, status="COMPLETED", duration=16.0, result_path="a.mp3")
    assert "(loop, 8 bars).mp3" in client.get(f"/api/loops/{loop.loop_id}/audio").headers["Content-Disposition"]
