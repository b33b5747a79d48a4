"""What the pages say about their sounds: the address, the name, and the part of a loop that repeats."""

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Loop, Track
from tests.conftest import on_sqlite


@pytest.fixture
def finished(loop: Loop) -> Loop:
    """A loop with a file."""
    Loop.update(status="COMPLETED", result_path="loops/one.wav", duration=6).execute()
    Track.update(file_path_wav="tracks/one.wav", duration=20, starred=True).execute()
    return loop


def sound_of(client: FlaskClient, key: str) -> dict[str, str]:
    """The data attributes of a sound on the page of its job."""
    page = client.get("/jobs/job-1").text
    [tag] = re.findall(rf'<\w+[^>]*data-sound="{key}"[^>]*>', page)
    return {name: unescape(value) for name, value in re.findall(r'data-(\w+)="([^"]*)"', tag)}


@on_sqlite
def test_a_track_says_what_the_player_needs(client: FlaskClient, finished: Loop) -> None:
    sound = sound_of(client, "track:track-1")
    assert (sound["src"], sound["home"], sound["star"]) == ("/api/tracks/track-1/audio", "/tracks/track-1", "true")
    assert (sound["seconds"], sound["wave"]) == ("20.0", "/api/tracks/track-1/waveform.svg")
    Track.update(file_path_mp3="tracks/one.mp3").execute()
    assert sound_of(client, "track:track-1")["src"] == "/api/tracks/track-1/audio?format=mp3"


@on_sqlite
@pytest.mark.parametrize(
    ("analysis", "repeat"),
    [
        ({"loop_start": 0.5, "loop_end": 5.5, "rate": 44_100}, "0.5,5.5,44100"),
        ({"loop_start": 0, "loop_end": 6}, "0,6"),
        ({"loop_start": 0, "loop_end": 6, "rate": 1_000_000}, "0,6"),
        ({"loop_start": 0, "loop_end": 6, "rate": "44100"}, "0,6"),
        ({"loop_start": None, "loop_end": None}, None),
        ({"loop_start": 3, "loop_end": 3}, None),
        ({"loop_start": "0", "loop_end": [6]}, None),
        ({"loop_start": True, "loop_end": 1e300}, None),
        ({}, None),
    ],
)
def test_a_loop_says_which_part_repeats(
    client: FlaskClient, finished: Loop, analysis: dict[str, Any], repeat: str | None
) -> None:
    Loop.update(analysis=analysis).execute()
    assert sound_of(client, "loop:loop-1").get("repeat") == repeat
