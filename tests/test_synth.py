"""The built-in synth: what the words and the metadata of a job make of the music."""

from typing import Any

import pytest

from studio.synth import tempo


@pytest.mark.parametrize(
    ("words", "metadata", "beats"),
    [
        ("128 bpm house", {}, 128),
        ("999 BPM", {}, 240),
        ("20bpm drone", {}, 40),
        ("128 bpm", {"tempo": 90}, 90),
        ("rock", {"tempo": 1}, 40),
        ("rock", {"tempo": 1e9}, 240),
        ("rock", {"tempo": "fast"}, tempo("rock", {})),
    ],
)
def test_the_tempo_is_that_of_the_metadata_or_of_the_words(words: str, metadata: dict[str, Any], beats: float) -> None:
    assert tempo(words, metadata) == beats
