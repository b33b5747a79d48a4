"""Finds tempo and beats.

After D. Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research 36 (2007).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.looper.features import Features, smoothed
from studio.looper.pcm import Array

SLOWEST, FASTEST = 50.0, 210.0  # beats a minute
USUAL, SPREAD = 120.0, 0.9  # beats per minute, and octaves: the tempo range to which people tap
HARMONICS = 4
WINDOW_SECONDS = 24.0  # the window of the autocorrelation; the tempo may change from one window to the next
TIGHTNESS = 100.0
CONFIDENT, SHORT_DOUBT = 0.105, 0.5  # a confidence of at least CONFIDENT + SHORT_DOUBT / seconds means beats
GRID_SECONDS = 0.25
BASS_BANDS, BASS_FRAMES = 3, 7  # mel bands below 200 Hz; an attack of a bass takes about 80 ms
WEAK_BASS = 0.3  # the share of the bass onset of a neighbour that makes an off-beat
WHOLE_BEATS = 0.1  # seconds by which tracked beats may miss the length of a loop


@dataclass(frozen=True)
class Pulse:
    """Times (seconds) at which music may be cut, (cuts,). tempo: in beats per minute, or None for an even grid.

    off_beat: True for beats that are between two beats of the music, (cuts,). confidence: how clearly the
    broad onsets repeat at their best tempo, 0 to 1; 0 for a grid.
    """

    times: NDArray[Any]
    tempo: float | None
    off_beat: NDArray[np.bool_]
    confidence: float = 0.0

    @property
    def rhythmic(self) -> bool:
        """True when the times are beats."""
        return self.tempo is not None

    def nearest(self, seconds: float) -> int:
        """The index of the nearest time."""
        return int(np.abs(self.times - seconds).argmin())

    def tempo_of(self, start: float, end: float) -> float | None:
        """The tempo of a loop (seconds): from its exact length if that is a whole number of beats."""
        first, last = self.nearest(start), self.nearest(end)
        off = abs(self.times[last] - self.times[first] - (end - start))
        return 60 * (last - first) / (end - start) if self.rhythmic and off < WHOLE_BEATS else self.tempo


def pulse(features: Features, stretch: float = 1.0) -> Pulse:
    """The beats of a recording; a grid of 0.25 s if it has no clear tempo.

    The broad onsets decide whether there are beats: the start of a pad raises few bands, a tick over a chord many. The
    beats follow the other onsets: with the broad ones, hats between two beats were more often taken for beats.
    stretch: the beats are so many times as far apart; if no music has such a tempo, the result is a grid.
    """
    _, confidence = beat_period(onset_strength(features.broad_onsets, features.seconds), features.seconds)
    if confidence < CONFIDENT + SHORT_DOUBT / features.duration:
        return grid(features)
    strength = onset_strength(features.onsets, features.seconds)
    period = stretch * beat_period(strength, features.seconds)[0]
    if stretch != 1 and not SLOWEST <= 60 / (period * features.seconds) <= FASTEST:
        return grid(features)
    beats = track(strength, period)
    if len(beats) < 2 * HARMONICS:
        return grid(features)
    times = beats * features.seconds
    return Pulse(times, 60 / float(np.median(np.diff(times)[1:-1])), off_beats(features, times), confidence)


def off_beats(features: Features, times: NDArray[Any]) -> NDArray[np.bool_]:
    """True for times with much less bass than a neighbour, (times,): the tempo may be tracked twice as fast."""
    bass = features.tones[:, :BASS_BANDS].astype(np.float32)
    rises = smoothed(np.maximum(0, np.diff(bass, axis=0, prepend=bass[:1])).mean(axis=1), BASS_FRAMES)
    onsets = rises[features.rows(times)]
    neighbours = np.maximum(np.append(onsets[1:], 0), np.append(0, onsets[:-1]))
    return np.asarray(onsets < WEAK_BASS * neighbours)


def grid(features: Features) -> Pulse:
    """Evenly spaced times through the whole recording."""
    times = np.arange(0, len(features.level) * features.seconds, GRID_SECONDS)
    return Pulse(times, None, np.zeros(len(times), bool))


def onset_strength(onsets: Array, seconds: float) -> Array:
    """Onsets minus their mean over half a second, in standard deviations, never negative; (frames,).

    seconds: from one frame to the next.
    """
    strength = np.maximum(0, onsets - smoothed(onsets, round(0.5 / seconds)))
    return np.asarray(strength / (strength.std() + 1e-9), np.float32)


def autocorrelation(strength: Array, size: int) -> NDArray[np.float64]:
    """Mean autocorrelation of windows of `size` values that overlap by half, unbiased, 1 at lag 0; (size // 2,)."""
    starts = range(0, max(1, len(strength) - size // 2), size // 2)
    total = np.zeros(size + 1)
    for start in starts:
        part = strength[start : start + size]
        total += np.abs(np.fft.rfft(part - part.mean(), 2 * size)) ** 2
    by_lag = np.fft.irfft(total)[: size // 2] / np.arange(size, size - size // 2, -1)
    return np.asarray(by_lag / max(float(by_lag[0]), 1e-12))


def beat_period(strength: Array, seconds: float) -> tuple[float, float]:
    """The frames between beats, and how sure that is (0 to 1): a comb over the autocorrelation.

    The comb is the mean at 1 to 4 periods, weighted by a log-normal around 120 BPM. How sure: the comb there, less
    its mean over all tempos.
    """
    size = min(round(WINDOW_SECONDS / seconds), max(64, len(strength)))
    by_lag = autocorrelation(strength, size)
    periods = np.geomspace(60 / FASTEST / seconds, 60 / SLOWEST / seconds, 400)
    harmonics = [number for number in range(1, HARMONICS + 1) if number * periods[-1] < len(by_lag)] or [1]
    combs = np.mean([np.interp(number * periods, np.arange(len(by_lag)), by_lag) for number in harmonics], axis=0)
    likely = np.exp(-0.5 * (np.log2(60 / (periods * seconds) / USUAL) / SPREAD) ** 2)
    best = int(np.argmax((combs - combs.mean()) * likely))
    return float(periods[best]), float(combs[best] - combs.mean())


def track(strength: Array, period: float) -> NDArray[np.int64]:
    """The frames of the beats, (beats,), with the best balance of strong onsets and even spacing."""
    width = max(1, round(period / 8))
    bell = np.exp(-0.5 * (np.arange(-4 * width, 4 * width + 1) / width) ** 2)
    local = np.convolve(strength, bell, "same") if len(strength) > len(bell) else strength.astype(np.float64)
    local = local / (local.std() + 1e-9)
    score, back = best_paths(local, period)
    last = len(score) - 1 - int(np.argmax(score[::-1][: max(1, round(period))]))
    beats = [last]
    while back[beats[-1]] >= 0:
        beats.append(int(back[beats[-1]]))
    return np.array(beats[::-1])


def best_paths(local: NDArray[np.float64], period: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each frame: the score of the best sequence of beats that ends there, and the beat before it (-1 for none).

    Frames that are closer than the shortest step do not depend on each other, so they are computed together.
    """
    nearest, farthest = max(1, round(period / 2)), round(2 * period)
    steps = np.arange(farthest, nearest - 1, -1)
    penalty = -TIGHTNESS * np.log(steps / period) ** 2
    score = np.concatenate([np.full(farthest, -1e9), local])
    back = np.full(len(local), -1, np.int64)
    for first in range(0, len(local), nearest):
        last = min(first + nearest, len(local))
        before = np.lib.stride_tricks.sliding_window_view(score[first : last + farthest - nearest], len(steps))
        reached = before[: last - first] + penalty
        best = reached.argmax(axis=1)
        gain = reached[np.arange(last - first), best]
        score[first + farthest : last + farthest] += np.maximum(gain, 0)
        back[first:last] = np.where(gain > 0, np.arange(first, last) - steps[best], -1)
    return score[farthest:], back
