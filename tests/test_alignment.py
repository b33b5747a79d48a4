"""Onsets and their alignment: attacks stand out of sustained sound, and a line through them finds lag and slope."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.looper.alignment import bin_frames, likely_shift, onset_envelope
from studio.looper.beats import Pulse
from studio.looper.drift import fit
from studio.looper.repeats import Repeat
from studio.looper.seams import seams_of
from tests.listening import Audio
from tests.loop_quality import decoded
from tests.pieces import Piece

RATE = 44_100
LENGTH = 30  # seconds


def tones(seconds: float) -> NDArray[np.float64]:
    """Tones that beat against one another 3 to 11 times a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(sum(0.1 * np.sin(2 * np.pi * pitch * time) for pitch in (220, 223, 231, 441, 452)))


def clicking(times: NDArray[np.float64]) -> Audio:
    """Clicks of three samples at some times (seconds) over tones, (frames, 1)."""
    sound = tones(LENGTH)
    for place in np.rint(times * RATE).astype(int):
        sound[place : place + 3] += (0.3, -0.3, 0.15)
    return sound[:, None].astype(np.float32)


def test_an_attack_stands_out_of_tones_that_beat_against_each_other() -> None:
    sound = clicking(np.array([1.5]))[: 3 * RATE, 0]
    onsets = onset_envelope(sound, RATE)
    click = round(1.5 * RATE / bin_frames(RATE))
    near = np.abs(np.arange(len(onsets)) - click) <= 25
    assert abs(int(onsets.argmax()) - click) <= 4  # a millisecond
    assert onsets[near].max() > 4 * onsets[~near][200:].max()


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000, 192_000])
def test_an_onset_is_at_the_same_time_at_every_sample_rate(rate: int) -> None:
    sound = np.random.default_rng(1).normal(0, 0.001, rate)
    sound[round(0.4 * rate) : round(0.45 * rate)] += np.random.default_rng(2).normal(0, 0.3, round(0.05 * rate))
    onsets = onset_envelope(sound.astype(np.float32), rate)
    assert onsets.argmax() * bin_frames(rate) / rate == pytest.approx(0.4, abs=0.003)


@pytest.mark.parametrize("slope", [0.0, 0.01, -0.015])
def test_a_line_finds_lag_and_slope_from_beats_tracked_ten_milliseconds_wrong(slope: float, tmp_path: Path) -> None:
    first = np.arange(1.0, 11.0, 0.5)
    again = 6.0 + 12.345 + (first - 6.0) * (1 + slope)
    tracked = np.concatenate([first, again]) + np.tile([0.01, -0.01, 0.004, 0.0], 10)
    with decoded(Piece("clicks", RATE, clicking(np.concatenate([first, again]))), tmp_path) as pcm:
        line = fit(pcm, Pulse(tracked, 120.0, np.zeros(len(tracked), bool)), Repeat(tracked[10], tracked[30], 0))
    assert line.at(6.0) == pytest.approx(12.345, abs=0.0002)
    assert line.slope == pytest.approx(slope, abs=0.0003)
    assert line.spread < 0.001


@pytest.mark.parametrize("bend", [0.004, -0.006])
def test_a_line_bends_with_a_tempo_that_swings(bend: float, tmp_path: Path) -> None:
    first = np.arange(1.0, 12.0, 0.5)
    away = first - 6.0
    again = first + 12.345 + 0.005 * away + bend * away**2
    tracked = stepped(np.concatenate([first, again]))
    with decoded(Piece("clicks", RATE, clicking(np.concatenate([first, again]))), tmp_path) as pcm:
        line = fit(pcm, Pulse(tracked, 120.0, np.zeros(len(tracked), bool)), Repeat(tracked[10], tracked[32], 0))
    assert line.bend == pytest.approx(bend, abs=0.0015)
    assert [line.at(time) for time in (5.5, 6.0, 6.5)] == pytest.approx(list((again - first)[9:12]), abs=0.002)


def test_a_line_through_steady_beats_does_not_bend(tmp_path: Path) -> None:
    beats = np.arange(1.0, 29.0, 0.5)
    tracked = stepped(beats)
    with decoded(Piece("clicks", RATE, clicking(beats)), tmp_path) as pcm:
        line = fit(pcm, Pulse(tracked, 120.0, np.zeros(len(tracked), bool)), Repeat(tracked[16], tracked[40], 0))
    assert line.is_steady and line.bend == 0 and line.at(9.0) == pytest.approx(12.0, abs=0.0003)


def stepped(beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Beats as the tracker finds them: at a whole number of frames of the features."""
    return np.asarray(np.rint(beats / 0.0116) * 0.0116)


def test_a_line_without_onsets_keeps_the_lag_and_is_unsure(tmp_path: Path) -> None:
    beats = np.arange(1.0, 29.0, 0.5)
    silence = np.zeros((LENGTH * RATE, 1), np.float32)
    silence[::RATE] = 0.5  # 30 single samples, so that it is no silent file; both lags are whole seconds
    sound = silence * (np.arange(len(silence)) < 3 * RATE)[:, None]
    with decoded(Piece("silence", RATE, sound), tmp_path) as pcm:
        line = fit(pcm, Pulse(beats, 120.0, np.zeros(len(beats), bool)), Repeat(9.0, 19.0, 0))
    assert (line.lag, line.slope, line.spread) == (10.0, 0.0, 0.01)


def test_a_clear_attack_far_from_the_line_is_followed_and_an_unclear_one_is_not() -> None:
    places = np.arange(321)
    clear = 0.95 * np.exp(-0.5 * ((places - 200) / 3) ** 2)
    assert likely_shift(clear, deviation=4.0) == pytest.approx((40, 0.95), abs=0.01)
    assert likely_shift(0.8 * clear, deviation=4.0) == pytest.approx((0, 0), abs=0.01)
    near = clear + 0.9 * np.exp(-0.5 * ((places - 161) / 3) ** 2)
    assert likely_shift(near, deviation=4.0)[0] == pytest.approx(1, abs=0.5)


def test_a_seam_at_a_beat_that_is_off_the_line_costs_more(tmp_path: Path) -> None:
    beats = np.arange(1.0, 29.0, 0.5)
    played = beats + np.where(beats == 20.0, 0.005, 0.0)
    pulse = Pulse(beats, 120.0, np.zeros(len(beats), bool))
    with decoded(Piece("late", RATE, clicking(played)), tmp_path) as pcm:
        late, before, after = seams_of(pcm, pulse, Repeat(10.0, 20.0, 0.0))
    assert late.lag / RATE == pytest.approx(10.005, abs=0.0005)
    assert before.lag == after.lag == 10 * RATE
    assert late.cost > max(before.cost, after.cost) + 0.08
