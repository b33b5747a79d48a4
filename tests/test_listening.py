"""The measures of loops and the generated pieces: they tell a good seam from a bad one, and have the beats they say."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.listening import Join, alike, beat_error, dip, flux_ratio, has_whole_bars, inner_step_ratio, step_ratio
from tests.pieces import CLASSES, Audio, Piece, generate

RATE = 32_000
WITH_BEATS = [name for name, kind in CLASSES.items() if kind.group in ("steady", "loose", "drifting")]


def tone(frames: int) -> Audio:
    """A tone of 440 Hz, mono: 80 cycles have 5,818.18 frames."""
    return np.asarray(np.sin(2 * np.pi * 440 / RATE * np.arange(frames))[:, None], np.float32)


def cut(sound: Audio, start: int, end: int) -> Join:
    """A loop without a crossfade."""
    return Join(sound, np.concatenate([sound[:end], sound[start:]]), RATE, start, end, 0)


def test_a_cut_by_whole_cycles_cannot_be_heard() -> None:
    join = cut(tone(3 * RATE), RATE // 2, RATE // 2 + RATE)
    assert step_ratio(join) == pytest.approx(1, abs=0.01)
    assert flux_ratio(join) == pytest.approx(1, abs=0.01)
    assert dip(join) == pytest.approx(0, abs=0.01)


def test_a_cut_by_half_a_cycle_has_a_step_and_a_flux() -> None:
    join = cut(tone(3 * RATE), RATE // 2, RATE // 2 + RATE + 18)
    assert step_ratio(join) > 10
    assert flux_ratio(join) > 10


def test_a_step_inside_the_crossfade_is_an_inner_step() -> None:
    join = replace(cut(tone(3 * RATE), RATE // 2, RATE // 2 + RATE), crossfade=1000)
    assert inner_step_ratio(join) == pytest.approx(1, abs=0.01)
    join.looped[join.end - 500 :] *= -1
    assert step_ratio(join) < 1.1 and inner_step_ratio(join) > 10


def test_a_step_in_a_soft_part_counts_though_the_rest_is_loud() -> None:
    sound = tone(3 * RATE) * np.where(np.arange(3 * RATE) < 2 * RATE, 0.01, 1.0).astype(np.float32)[:, None]
    assert step_ratio(cut(sound, RATE // 2, RATE // 2 + RATE + 18)) > 10


def test_a_hole_at_the_seam_is_a_dip() -> None:
    join = cut(tone(3 * RATE), RATE // 2, RATE // 2 + RATE)
    join.looped[join.end - 800 : join.end] = 0
    assert dip(join) < -3


def test_silence_has_no_flux_and_no_step() -> None:
    join = cut(np.zeros((3 * RATE, 1), np.float32), RATE // 2, RATE)
    assert (step_ratio(join), flux_ratio(join), dip(join)) == (0, 0, 0)


def test_a_beat_error_is_the_distance_to_the_nearest_beat() -> None:
    beats = np.arange(0.0, 10.0, 0.5)
    assert beat_error(beats, 1.0, 5.0) == pytest.approx(0)
    assert beat_error(beats, 1.1, 5.2) == pytest.approx(0.1)
    assert beat_error(beats, 1.4, 9.9) == pytest.approx(0)  # the beat at 1.5 s would become one at 10 s


def test_a_loop_of_nine_beats_has_no_whole_bars_of_four() -> None:
    beats = np.arange(0.0, 10.0, 0.5)
    assert has_whole_bars(beats, 4, 0.98, 5.01)
    assert not has_whole_bars(beats, 4, 0.98, 5.51)
    assert has_whole_bars(beats, 3, 0.98, 5.51)


def test_a_loop_that_misses_the_beat_is_less_alike() -> None:
    piece = generate("4/4", 7)
    assert piece.beats is not None
    start, end = round(piece.beats[12] * piece.rate), round(piece.beats[28] * piece.rate)
    late = round(0.005 * piece.rate)
    assert alike(piece.sound, piece.rate, start, end)[0] > 0.95
    assert alike(piece.sound, piece.rate, start, end + late)[0] < 0.9
    assert abs(alike(piece.sound, piece.rate, start, end + 40 * late)[0]) < 0.5


@pytest.mark.parametrize("name", CLASSES)
def test_a_seed_makes_one_piece_and_another_seed_another(name: str) -> None:
    piece = generate(name, 1)
    assert np.array_equal(piece.sound, generate(name, 1).sound)
    assert piece.sound.shape != generate(name, 1, seed=1).sound.shape
    assert 30 <= len(piece.sound) / piece.rate <= 39
    assert 0.29 < np.abs(piece.sound).max() < 0.91


@pytest.mark.parametrize("name", WITH_BEATS)
def test_the_sound_rises_on_every_beat_and_no_two_bars_are_the_same(name: str) -> None:
    piece = generate(name, 3)
    assert piece.beats is not None
    starts = np.rint(piece.beats * piece.rate).astype(int)
    assert np.median([rise(piece, start) for start in starts[1:]]) > 2  # silence is before the first
    bars = [piece.sound[start : start + piece.rate // 4] for start in starts[:-2]]
    assert not any(np.array_equal(one, other) for one, other in pairwise(bars))


def rise(piece: Piece, start: int) -> float:
    """How much more the samples change just after a frame than just before it."""
    size = piece.rate // 250
    before, after = (np.diff(piece.sound[place : place + size], axis=0).std() for place in (start - size, start))
    return float(after / before)


def test_a_repeated_melody_repeats_sample_for_sample() -> None:
    piece = generate("exact-rubato", 2)
    assert piece.beats is not None
    count = len(piece.sound)
    lags = [round(time * piece.rate) for time in piece.beats - piece.beats[0]]
    assert any(6 * piece.rate <= lag and np.array_equal(piece.sound[lag:], piece.sound[: count - lag]) for lag in lags)
