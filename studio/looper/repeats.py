"""Finds where music repeats: pairs of times between which a listener should hear no difference."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.looper.beats import Pulse
from studio.looper.features import BANDS, Features, loud_level, smoothed
from studio.looper.pcm import Array

MEL_SHARE = 0.6  # the share of mel bands in a distance; the rest is chroma
DIFFERENT_DB = 15.0  # bands this far apart on average are a distance of 1
QUIETEST_DB = -60.0  # relative to the loudest; softer sound does not count
SUB_BEATS = 4
CONTEXT_SECONDS = 4.0
BODY_DB = -9.0  # relative to the loud level
BAR = 4  # beats
OFF_BAR = (0.0, 0.08, 0.04, 0.08)  # cost of a length of whole bars plus 0, 1, 2 or 3 beats
MISSING_CONTEXT = 0.1  # cost if there is no context at all
NEAR_BEST = 0.04  # in cost: a difference that listeners do not notice
ROOM_BEFORE, ROOM_AFTER = 1.1, 0.2  # seconds
CUTS = 8192  # the most cuts; of longer recordings, only every second, third … cut is used
PER_LENGTH, PAIRS = 3, 24
UNREPEATED = 1.0  # the cost of a pair of times that no cuts are near to
LEAST_LENGTH, MOST_LENGTH = 0.75, 1.25  # of the length that the order chose
NEAR_SECONDS, AWAY_COST = 1.0, 0.1  # from a time that the order chose; the cost of a second
OFF_BEAT_COST = 10.0  # of a second by which a lag is not a whole number of beats


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
class Repeats:
    """The best pairs of a recording, and its usual cost: the median over all lengths of the median cost of a length."""

    pairs: list[Repeat]
    usual_cost: float


@dataclass(frozen=True)
class Cuts:
    """Where a recording may be cut: times in seconds, whether there is room around them and whether they lie in the
    body, (cuts,); the sound from one cut to the next, (cuts, 240), scaled so that squared distances lie between 0 and
    about 1; cuts in a bar, or 1; beats from one cut to the next."""

    times: NDArray[Any]
    roomy: NDArray[np.bool_]
    in_body: NDArray[np.bool_]
    sound: Array
    bar: int
    step: int = 1

    @property
    def body_seconds(self) -> float:
        """How much of the recording is body."""
        return float(self.in_body.mean() * (self.times[-1] - self.times[0]))

    @cached_property
    def squares(self) -> Array:
        """The squared length of the sound after each cut, (cuts,)."""
        return np.asarray((self.sound**2).sum(axis=1))

    @property
    def context(self) -> int:
        """The number of cuts in CONTEXT_SECONDS."""
        return max(1, round(CONTEXT_SECONDS / float(np.median(np.diff(self.times)))))


def find_cuts(features: Features, pulse: Pulse) -> Cuts:
    """The cuts of a pulse, and the sound between them."""
    step = -(-len(pulse.times) // CUTS)
    times = pulse.times[::step]
    bar = BAR // step if pulse.rhythmic and BAR % step == 0 else 1
    has_room = roomy(times, features.duration)
    return Cuts(times, has_room, body(features, times) & has_room, sub_beats(features, times), bar, step)


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
    return np.asarray(near[features.frames(times)])


def sub_beats(features: Features, times: NDArray[Any]) -> Array:
    """Four sub-beats from each time to the next, mel and chroma weighted and side by side; (times, 240)."""
    last = 2 * times[-1] - times[-2]
    places = np.arange(len(times) * SUB_BEATS + 1) / SUB_BEATS
    edges = np.interp(places, np.arange(len(times) + 1), np.append(times, last))
    rows = features.rows(edges)
    sums = np.add.reduceat(features.tones, rows, axis=0, dtype=np.float32)[:-1]
    means = sums / np.maximum(1, np.diff(rows))[:, None]
    means[:, :BANDS] = np.maximum(means[:, :BANDS], means[:, :BANDS].max() + QUIETEST_DB)
    means[:, :BANDS] *= np.sqrt(MEL_SHARE / BANDS / SUB_BEATS) / DIFFERENT_DB
    means[:, BANDS:] *= np.sqrt((1 - MEL_SHARE) / SUB_BEATS)
    return np.asarray(means.reshape(len(times), -1), np.float32)


def find_repeats(cuts: Cuts, shortest: float, longest: float, lags: Collection[int] | None = None) -> Repeats:
    """The best pairs with lengths between shortest and longest (seconds), at most PAIRS; none if no length fits.

    First come the pairs whose cost is near the best, the longest first; then the others, the best first. lags: if set,
    only pairs that are so many cuts apart.
    """
    pairs: list[Repeat] = []
    usual: list[float] = []
    for lag in range(1, len(cuts.times)) if lags is None else lags:
        lengths = cuts.times[lag:] - cuts.times[:-lag]
        fits = (lengths >= shortest) & (lengths <= longest) & cuts.in_body[lag:] & cuts.in_body[:-lag]
        if fits.any():
            costs = np.where(fits, lag_costs(cuts, lag), np.inf)
            usual.append(float(np.median(costs[fits])))
            pairs.extend(best_of_lag(cuts, lag, costs))
    if not pairs:
        return Repeats([], UNREPEATED)
    limit = min(pair.cost for pair in pairs) + NEAR_BEST
    ranked = sorted(pairs, key=lambda pair: (0, -pair.length) if pair.cost <= limit else (1, pair.cost))
    return Repeats(ranked[:PAIRS], float(np.median(usual)))


def best_of_lag(cuts: Cuts, lag: int, costs: NDArray[np.float64]) -> Iterator[Repeat]:
    """The best few pairs that are `lag` cuts apart, more than a bar from each other. costs is written to."""
    for _ in range(PER_LENGTH):
        start = int(costs.argmin())
        if np.isinf(costs[start]):
            return
        yield Repeat(float(cuts.times[start]), float(cuts.times[start + lag]), float(costs[start]))
        costs[max(0, start - BAR) : start + BAR + 1] = np.inf


def nearest_repeat(cuts: Cuts, start: float, end: float, longest: float, lags: Collection[int] | None = None) -> Repeat:
    """The best pair of cuts near two times (seconds), no longer than longest; these times themselves if there is none.

    Nearer is better. The length changes by a quarter at most. lags: if set, only pairs that are so many cuts apart.
    """
    near = [np.flatnonzero(cuts.roomy & (np.abs(cuts.times - time) <= NEAR_SECONDS)) for time in (start, end)]
    pairs = [Repeat(start, end, UNREPEATED)]
    near_lags = {int(last - first) for first in near[0] for last in near[1] if last > first}
    for lag in near_lags if lags is None else near_lags.intersection(lags):
        costs = lag_costs(cuts, lag)
        firsts = np.intersect1d(near[0], near[1] - lag)
        pairs += [Repeat(float(cuts.times[i]), float(cuts.times[i + lag]), float(costs[i])) for i in firsts]
    lengths = LEAST_LENGTH * (end - start), min(longest, MOST_LENGTH * (end - start))
    fitting = [pair for pair in pairs[1:] if lengths[0] <= pair.length <= lengths[1]] or pairs[:1]
    return min(fitting, key=lambda pair: pair.cost + AWAY_COST * (abs(pair.start - start) + abs(pair.end - end)))


def away_cost(pair: Repeat, start: float) -> float:
    """The cost of another start (seconds) with the same length."""
    return 2 * AWAY_COST * abs(pair.start - start)


def cost_at(cuts: Cuts, pulse: Pulse, start: float, end: float) -> float:
    """The cost of a pair of any two times: of the nearest cuts, and of the distance from them if they are beats."""
    first, last = (int(np.abs(cuts.times - time).argmin()) for time in (start, end))
    if first >= last:
        return UNREPEATED
    off = abs(cuts.times[last] - cuts.times[first] - (end - start)) if pulse.rhythmic else 0.0
    return float(lag_costs(cuts, last - first)[first] + OFF_BEAT_COST * off)


def lag_costs(cuts: Cuts, lag: int) -> NDArray[np.float64]:
    """The costs of all pairs that are `lag` cuts apart, (cuts - lag,)."""
    costs = context_costs(distances(cuts, lag), cuts.context)
    return costs + (OFF_BAR[lag % BAR] if cuts.bar == BAR else 0.0)


def distances(cuts: Cuts, lag: int) -> Array:
    """The squared distances of the sound after each cut from that `lag` cuts later, (cuts - lag,)."""
    cross = np.einsum("ij,ij->i", cuts.sound[lag:], cuts.sound[:-lag])
    return np.asarray(np.maximum(0, cuts.squares[lag:] + cuts.squares[:-lag] - 2 * cross))


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
