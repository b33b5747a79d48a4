"""Finds where music repeats: pairs of times between which a listener should hear no difference."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.looper.alignment import correlation, peak
from studio.looper.beats import Pulse
from studio.looper.features import BANDS, Array, Features, loud_level, smoothed

MEL_SHARE = 0.6  # the share of mel bands in a distance; the rest is chroma
DIFFERENT_DB = 15.0  # bands this far apart on average are a distance of 1
QUIETEST_DB = -60.0  # relative to the loudest; softer sound does not count
SUB_BEATS = 4
CONTEXT_SECONDS = 4.0
REACH_SECONDS = 0.06  # two tracked beats may each be a frame or two off
BODY_DB = -9.0  # relative to the loud level
BAR = 4  # beats
OFF_BAR = (0.0, 0.08, 0.04, 0.08)  # cost of a length of whole bars plus 0, 1, 2 or 3 beats
MISSING_CONTEXT = 0.1  # cost if there is no context at all
NEAR_BEST = 0.04  # in cost: a difference that listeners do not notice
ROOM_BEFORE, ROOM_AFTER = 1.1, 0.2  # seconds
CUTS = 8192  # the most cuts; of longer recordings, only every second, third … cut is used
PER_LENGTH, PAIRS = 3, 24


@dataclass(frozen=True)
class Repeat:
    """The music after `end` sounds like the music after `start` (seconds).

    The cost is 0 for the best, 1 for a poor one.
    """

    start: float
    end: float
    cost: float

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class Cuts:
    """Where a recording may be cut: times in seconds and whether each lies in the body, (cuts,); the sound from one
    cut to the next, (cuts, 240), scaled so that squared distances lie between 0 and about 1; cuts in a bar, or 1."""

    times: NDArray[Any]
    in_body: NDArray[np.bool_]
    sound: Array
    bar: int

    @property
    def body_seconds(self) -> float:
        """How much of the recording is body."""
        return float(self.in_body.mean() * (self.times[-1] - self.times[0]))

    @property
    def context(self) -> int:
        """The number of cuts in CONTEXT_SECONDS."""
        return max(1, round(CONTEXT_SECONDS / float(np.median(np.diff(self.times)))))


def find_cuts(features: Features, pulse: Pulse) -> Cuts:
    """The cuts of a pulse, and the sound between them."""
    step = -(-len(pulse.times) // CUTS)
    times = pulse.times[::step]
    bar = BAR // step if pulse.rhythmic and BAR % step == 0 else 1
    return Cuts(times, body(features, times) & roomy(times, features.duration), sub_beats(features, times), bar)


def roomy(times: NDArray[Any], seconds: float) -> NDArray[np.bool_]:
    """True for times with room in a recording of this length: before, for a long crossfade; after, for an alignment."""
    return np.asarray((times >= earliest_cut(seconds)) & (times <= seconds - ROOM_AFTER))


def earliest_cut(seconds: float) -> float:
    """The earliest time at which a loop may start, in seconds."""
    return min(ROOM_BEFORE, seconds / 3)


def body(features: Features, times: NDArray[Any]) -> NDArray[np.bool_]:
    """True for times outside silence and fades: the second around them is near the loud level; (times,)."""
    level = smoothed(features.level, round(1 / features.seconds))
    near = level > loud_level(level) * 10 ** (BODY_DB / 10)
    frames = np.rint(times / features.seconds).astype(int)
    return np.asarray(near[np.clip(frames, 0, len(near) - 1)])


def sub_beats(features: Features, times: NDArray[Any]) -> Array:
    """Four sub-beats from each time to the next, mel and chroma weighted and side by side; (times, 240)."""
    last = 2 * times[-1] - times[-2]
    places = np.arange(len(times) * SUB_BEATS + 1) / SUB_BEATS
    edges = np.interp(places, np.arange(len(times) + 1), np.append(times, last))
    rows = np.rint(edges / features.seconds / features.pooled).astype(int)
    rows = np.clip(rows, 0, len(features.tones) - 1)
    sums = np.add.reduceat(features.tones, rows, axis=0, dtype=np.float32)[:-1]
    means = sums / np.maximum(1, np.diff(rows))[:, None]
    means[:, :BANDS] = np.maximum(means[:, :BANDS], means[:, :BANDS].max() + QUIETEST_DB)
    means[:, :BANDS] *= np.sqrt(MEL_SHARE / BANDS / SUB_BEATS) / DIFFERENT_DB
    means[:, BANDS:] *= np.sqrt((1 - MEL_SHARE) / SUB_BEATS)
    return np.asarray(means.reshape(len(times), -1), np.float32)


def find_repeats(cuts: Cuts, shortest: float, longest: float) -> list[Repeat]:
    """The best pairs with lengths between shortest and longest (seconds), at most PAIRS; [] if no length fits.

    First come the pairs whose cost is near the best, the longest first; then the others, the best first.
    """
    pairs = list(all_repeats(cuts, shortest, longest))
    if not pairs:
        return []
    best = min(pair.cost for pair in pairs)
    near = sorted((pair for pair in pairs if pair.cost <= best + NEAR_BEST), key=lambda pair: (-pair.length, pair.cost))
    rest = sorted((pair for pair in pairs if pair.cost > best + NEAR_BEST), key=lambda pair: pair.cost)
    return [*near, *rest][:PAIRS]


def aligned(features: Features, pair: Repeat) -> Repeat:
    """The same pair with a better end: moved by at most 60 ms to the place where the onsets of 8 seconds fit best."""
    context, reach = round(CONTEXT_SECONDS / features.seconds), round(REACH_SECONDS / features.seconds)
    start, end = round(pair.start / features.seconds), round(pair.end / features.seconds)
    before = min(context, start, end - reach)
    after = min(context, len(features.onsets) - end - reach)
    if before + after < context:
        return pair
    here = features.onsets[start - before : start + after]
    there = features.onsets[end - before - reach : end + after + reach]
    shift = peak(correlation(here - here.mean(), there - there.mean())) - reach
    return replace(pair, end=pair.start + (end - start + shift) * features.seconds)


def all_repeats(cuts: Cuts, shortest: float, longest: float) -> Iterator[Repeat]:
    """The best few pairs of every length in cuts."""
    squares = (cuts.sound**2).sum(axis=1)
    for lag in range(1, len(cuts.times)):
        lengths = cuts.times[lag:] - cuts.times[:-lag]
        fits = (lengths >= shortest) & (lengths <= longest) & cuts.in_body[lag:] & cuts.in_body[:-lag]
        if not fits.any():
            continue
        cross = np.einsum("ij,ij->i", cuts.sound[lag:], cuts.sound[:-lag])
        costs = context_costs(np.maximum(0, squares[lag:] + squares[:-lag] - 2 * cross), cuts.context)
        costs += OFF_BAR[lag % BAR] if cuts.bar == BAR else 0.0
        costs[~fits] = np.inf
        for _ in range(PER_LENGTH):
            start = int(costs.argmin())
            if np.isinf(costs[start]):
                break
            yield Repeat(float(cuts.times[start]), float(cuts.times[start + lag]), float(costs[start]))
            costs[max(0, start - BAR) : start + BAR + 1] = np.inf


def context_costs(squared: Array, context: int) -> NDArray[np.float64]:
    """Root mean squared distances over `context` cuts before and after each cut, plus a penalty for missing context.

    squared[i] is the distance of the sound from cut i to the next cut. The sound before cut i is squared[i - 1];
    (cuts,).
    """
    total = np.concatenate([[0.0], np.cumsum(squared, dtype=np.float64)])
    places = np.arange(len(squared))
    low, high = np.maximum(0, places - context), np.minimum(len(squared), places + context)
    missing = 1 - (high - low) / (2 * context)
    return np.asarray(np.sqrt((total[high] - total[low]) / (high - low)) + MISSING_CONTEXT * missing)
