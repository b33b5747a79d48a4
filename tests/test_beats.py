"""Whether music has beats: onsets that repeat from beat to beat, also if the tempo changes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.looper.beats import are_sharp, regularity
from studio.looper.features import Features, extract
from tests.loop_quality import decoded
from tests.pieces import Piece

FRAMES = 3000


def onsets_at(beats: NDArray[np.int64]) -> NDArray[np.float32]:
    """Onsets of three frames at some frames, (FRAMES,)."""
    onsets = np.zeros(FRAMES, np.float32)
    for offset in (-1, 0, 1):
        onsets[beats + offset] = 1
    return onsets


def swinging(period: float = 50.0, swing: float = 0.03) -> NDArray[np.int64]:
    """The frames of beats whose tempo swings, once in 20 beats."""
    steps = period * (1 + swing * np.sin(np.arange(55) * 2 * np.pi / 20))
    return np.rint(20 + np.cumsum(steps)).astype(np.int64)


def test_onsets_at_the_beats_of_a_swinging_tempo_are_regular() -> None:
    beats = swinging()
    assert regularity(onsets_at(beats), beats) > 0.9


def test_onsets_at_every_second_beat_are_regular_too() -> None:
    beats = swinging()
    assert 0.3 < regularity(onsets_at(beats[::2]), beats) < 0.7


def test_noise_is_not_regular() -> None:
    random, beats = np.random.default_rng(1), swinging()
    values = [regularity(random.random(FRAMES).astype(np.float32), beats) for _ in range(20)]
    assert max(np.abs(values)) < 0.1


def test_silence_is_not_regular() -> None:
    assert regularity(np.zeros(FRAMES, np.float32), swinging()) == 0


@pytest.mark.parametrize("first", [0.0, 90.0])
def test_the_minute_with_the_most_onsets_decides_in_doubt(first: float, tmp_path: Path) -> None:
    rate, random = 22_050, np.random.default_rng(1)
    beats = first + np.arange(1.0, 59.0, 0.5)
    sound = random.normal(0, 0.001, (150 * rate, 1))
    for place in np.rint(beats * rate).astype(int):
        sound[place : place + 30, 0] += random.normal(0, 0.2, 30)
    with decoded(Piece("half", rate, sound.astype(np.float32)), tmp_path) as pcm:
        features = extract(pcm, lambda share: None)
        assert are_sharp(pcm, features, beats)
        assert not are_sharp(pcm, features, np.sort(random.uniform(first, first + 60, 120)))


def test_beats_at_another_tempo_are_less_regular() -> None:
    beats = swinging()
    wrong = np.rint(np.interp(np.arange(0, 54, 2 / 3), np.arange(55), beats)).astype(np.int64)
    assert regularity(onsets_at(beats), wrong) < regularity(onsets_at(beats), beats) - 0.3


@pytest.mark.parametrize(("seconds", "frame"), [(0.0, 0), (0.99, 2), (1.2, 2), (99.0, 9)])
def test_a_time_is_in_the_nearest_frame(seconds: float, frame: int) -> None:
    level = np.zeros(10, np.float32)
    features = Features(0.5, 1, level, level, level, np.zeros((10, 60), np.float16))
    assert features.frames(np.array([seconds])).tolist() == [frame]
