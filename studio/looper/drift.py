"""Fits a line to the lag between two similar parts of the music.

The slope is not 0 if the tempo differs at the two times, and the line bends if the tempo swings. The tracked beats give
guesses. Then short pieces of the music vote for a lag and a slope, as points vote for a line in a Hough transform.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.looper.alignment import bell_shaped, bin_frames, onsets_around, peak
from studio.looper.beats import Pulse
from studio.looper.pcm import Array, Pcm
from studio.looper.repeats import CONTEXT_SECONDS, Repeat

Floats = NDArray[Any]

PIECE_SECONDS = 0.25
PIECES = round(2 * CONTEXT_SECONDS / PIECE_SECONDS)
NEAR_SECONDS = 2.0  # the standard deviation of the weights of the pieces
SHIFT_SECONDS, LIKELY_SHIFT = 0.06, 0.03  # of a guess: a tracked beat may be 34 ms off
SLOPES, LIKELY_SLOPE = np.arange(-6, 7) * 0.0005, 0.002  # added to the slope of a guess
STEEP, STEEPEST = 0.003, 0.05  # tracked slopes below the first are among SLOPES; above the second they are errors
APART_SECONDS = 1.5  # beats nearer to each other are not used for the slope
RESIDUAL_SECONDS = 0.015
NORMAL = 1.48  # the standard deviation of a normal distribution, as a multiple of its median absolute value
BELL_BINS = 11
UNSURE = 0.01  # seconds: the spread if there are no onsets to compare
STEADY_SPREAD = 0.004  # seconds
FEWEST_BENT, ROUNDS = 6, 5  # beats through which a parabola is laid, and rounds of reweighting
LOOSE_SECONDS = 0.01  # a beat so far from the parabola counts half
LEAST_WEIGHT = 1e-6  # above 0, so that there always is a parabola
LEAST_BEND, BETTER = 0.001, 1.02  # per second: 4 ms after two seconds; a bend must have so many times the votes
FARTHEST = SHIFT_SECONDS + CONTEXT_SECONDS * STEEPEST  # seconds: the largest lag of a parabola
ATTACK_REACH, BETWEEN_BEATS = 0.035, 0.3  # seconds: an attack is so near its tracked beat; the weight of other onsets
MARGIN = FARTHEST + SHIFT_SECONDS + CONTEXT_SECONDS * SLOPES[-1] + RESIDUAL_SECONDS  # seconds


@dataclass(frozen=True)
class Line:
    """A time of the recording and its repeat are lag + slope * t + bend * t^2 seconds apart, t seconds after start.

    bend (per second) is not 0 if the tempo swings. spread: the distance of the onsets from the line in seconds, as a
    standard deviation.
    """

    start: float
    lag: float
    slope: float
    spread: float
    bend: float = 0.0

    @property
    def is_steady(self) -> bool:
        """True if every beat is near the line. False with a bend: it comes from tracked beats, which are less exact."""
        return self.spread < STEADY_SPREAD and not self.bend

    def at(self, time: float) -> float:
        """The lag at a time of the recording, both in seconds."""
        away = time - self.start
        return self.lag + (self.slope + self.bend * away) * away

    def slope_at(self, time: float) -> float:
        """The slope at a time of the recording in seconds."""
        return self.slope + 2 * self.bend * (time - self.start)


@dataclass(frozen=True)
class Guess:
    """A line that is nearly right, as in Line; lag in bins, bend per bin."""

    lag: float
    slope: float
    bend: float = 0.0

    def at(self, bins: Any) -> Any:
        """The lag so many bins after the time that is aligned, in bins."""
        return self.lag + (self.slope + self.bend * bins) * bins


@dataclass(frozen=True)
class Votes:
    """How alike the pieces are at every shift, (pieces, shifts); the middle column is shift 0.

    weights and middles of the pieces, (pieces,); middles are bins from the time that is aligned.
    """

    likeness: Floats
    weights: Floats
    middles: Floats

    @property
    def unshifted(self) -> int:
        """The index of the column without a shift."""
        return int(self.likeness.shape[1]) // 2


def fit(pcm: Pcm, pulse: Pulse, pair: Repeat) -> Line:
    """Fit a line to the onsets in the 8 seconds around both times of a pair."""
    step = bin_frames(pcm.rate)
    bins_per_second = pcm.rate / step
    piece, margin = round(PIECE_SECONDS * bins_per_second), round(MARGIN * bins_per_second)
    half = PIECES // 2 * piece
    start, end = round(pair.start * pcm.rate), round(pair.end * pcm.rate)
    here = onsets_around(pcm, start, half, half, with_middle=True)
    here *= beat_weights(pulse, start / pcm.rate + np.arange(-half, half) / bins_per_second)
    there = onsets_around(pcm, end, half + margin, half + margin, with_middle=True)
    weights, middles = weighted(pcm, (start, end), piece)
    best, top = Line(pair.start, (end - start) / pcm.rate, 0.0, UNSURE), 0.0
    for guess in guesses(pulse, pair, bins_per_second):
        votes = Votes(likeness(here.reshape(PIECES, -1), there, guess), weights, middles)
        total, shift, slope = winner(votes, bins_per_second)
        if total > top * (BETTER if guess.bend else 1):
            top, spread = total, residual(votes, shift, slope, bins_per_second)
            lag = (end - start) / pcm.rate + (guess.at(shift) + shift) / bins_per_second
            steepness = (1 + slope) * (1 + guess.slope + 2 * guess.bend * shift) - 1
            bend = guess.bend * (1 + slope) ** 2 * bins_per_second
            best = Line(start / pcm.rate, lag, steepness, spread, bend)
    return best


def weighted(pcm: Pcm, centres: tuple[int, int], piece: int) -> tuple[Floats, Floats]:
    """The weights of the pieces around both centres (frames), 0 outside the recording, and their middles in bins."""
    step = bin_frames(pcm.rate)
    middles = (np.arange(PIECES) - PIECES / 2 + 0.5) * piece
    room = (piece // 2 + 1) * step + round(SHIFT_SECONDS * pcm.rate)
    near = bell_shaped(middles * step, NEAR_SECONDS * pcm.rate)
    low, high = min(centres) + middles * step - room, max(centres) + middles * step + room
    return near * ((low >= 0) & (high <= pcm.frames)), middles


def guesses(pulse: Pulse, pair: Repeat, bins_per_second: float) -> list[Guess]:
    """The lag of the tracked beats without a slope; with it, if they have one; and with a bend, if they have one."""
    first, again = pulse.nearest(pair.start), pulse.nearest(pair.end)
    offsets = np.flatnonzero(np.abs(pulse.times - pair.start) <= CONTEXT_SECONDS) - first
    offsets = offsets[(offsets + again >= 0) & (offsets + again < len(pulse.times))]
    if not len(offsets):
        return [Guess(0.0, 0.0)]
    times = pulse.times[first + offsets] - pair.start
    lags = pulse.times[again + offsets] - pair.end - times
    apart = times[None] - times[:, None]
    slopes = ((lags[None] - lags[:, None]) / np.where(apart, apart, 1))[apart > APART_SECONDS]
    lag = float(np.clip(np.median(lags), -SHIFT_SECONDS, SHIFT_SECONDS))
    slope = float(np.median(slopes)) if len(slopes) else 0.0
    tilted = [Guess(lag * bins_per_second, slope)] if STEEP < abs(slope) < STEEPEST else []
    return [Guess(lag * bins_per_second, 0.0), *tilted, *bent(times, lags, lag + slope * times, bins_per_second)]


def beat_weights(pulse: Pulse, times: Floats) -> Floats:
    """The weights of the onsets at some times (seconds): between beats, many are those of sustained sounds."""
    after = np.clip(np.searchsorted(pulse.times, times), 1, len(pulse.times) - 1)
    away = np.minimum(np.abs(pulse.times[after] - times), np.abs(times - pulse.times[after - 1]))
    return np.where(away <= ATTACK_REACH, 1.0, BETWEEN_BEATS)


def bent(times: Floats, lags: Floats, straight: Floats, bins_per_second: float) -> list[Guess]:
    """The parabola through the lags at some times (both in seconds), by least squares in which outliers hardly count.

    straight: the lags of a line through them, from which the first weights come. Empty if the parabola is nearly
    straight or goes too far away, and with few beats.
    """
    if len(times) < FEWEST_BENT:
        return []
    near, expected = bell_shaped(times, NEAR_SECONDS), straight
    for _ in range(ROUNDS):
        fitting = 1 / (1 + ((lags - expected) / LOOSE_SECONDS) ** 2)
        bend, slope, lag = (
            float(part) for part in np.polyfit(times, lags, 2, w=np.sqrt(near * fitting + LEAST_WEIGHT))
        )
        expected = np.polyval([bend, slope, lag], times)
    everywhere = np.linspace(-CONTEXT_SECONDS, CONTEXT_SECONDS, 9)
    is_far = abs(lag) > SHIFT_SECONDS or np.abs(np.polyval([bend, slope, lag], everywhere)).max() > FARTHEST
    return [] if is_far or abs(bend) < LEAST_BEND else [Guess(lag * bins_per_second, slope, bend / bins_per_second)]


def likeness(here: Array, there: Array, guess: Guess) -> Floats:
    """Cross-correlate pieces with the other side, stretched as the guess says, (pieces, shifts).

    here: (pieces, bins).
    """
    bins_per_second = here.shape[1] / PIECE_SECONDS
    reach = round((SHIFT_SECONDS + CONTEXT_SECONDS * SLOPES[-1] + RESIDUAL_SECONDS) * bins_per_second)
    half, width = here.size // 2, here.shape[1] + 2 * reach
    offsets = np.arange(-half - reach, half + reach)
    places = len(there) // 2 + offsets + guess.at(offsets)
    stretched = np.interp(places, np.arange(len(there)), there)
    windows = sliding_window_view(stretched, width)[:: here.shape[1]]
    size = 2 ** int(np.ceil(np.log2(width)))
    product = np.fft.rfft(windows, size) * np.conj(np.fft.rfft(here, size))
    return np.asarray(np.fft.irfft(product, size)[:, : 2 * reach + 1])


def winner(votes: Votes, bins_per_second: float) -> tuple[float, float, float]:
    """(the votes for the best line, its shift in bins, its slope)."""
    reach = round(SHIFT_SECONDS * bins_per_second)
    shifts = np.arange(-reach, reach + 1)
    tilted = np.rint(SLOPES[:, None] * votes.middles).astype(int) + votes.unshifted
    columns = tilted[:, :, None] + shifts
    totals = votes.weights @ votes.likeness[np.arange(PIECES)[:, None], columns]
    bell = np.hanning(BELL_BINS)
    totals = np.array([np.convolve(row, bell, "same") for row in totals])
    totals *= bell_shaped(shifts / bins_per_second, LIKELY_SHIFT) * bell_shaped(SLOPES, LIKELY_SLOPE)[:, None]
    best = int(totals.max(axis=1).argmax())
    return float(totals[best].max()), peak(totals[best]) - reach, float(SLOPES[best])


def residual(votes: Votes, shift: float, slope: float, bins_per_second: float) -> float:
    """How far the best shifts of the pieces are from a line, in seconds: a weighted median, as a standard deviation."""
    reach = round(RESIDUAL_SECONDS * bins_per_second)
    columns = np.rint(votes.unshifted + shift + slope * votes.middles).astype(int)[:, None] + np.arange(
        -reach, reach + 1
    )
    near = np.take_along_axis(votes.likeness, np.clip(columns, 0, votes.likeness.shape[1] - 1), axis=1)
    away = np.abs(near.argmax(axis=1) - reach) / bins_per_second
    weights = votes.weights * near.max(axis=1)
    order = np.argsort(away)
    middle = int(np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2))
    return NORMAL * float(away[order][min(middle, PIECES - 1)])
