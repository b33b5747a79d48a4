"""Finds tempo and beats.

After D. Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research 36 (2007).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.looper.alignment import FLOOR_DB, bin_frames, onsets_around
from studio.looper.features import Features, loud_level, smoothed
from studio.looper.pcm import Array, Pcm

SLOWEST, FASTEST = 50.0, 210.0  # beats a minute
USUAL, SPREAD = 120.0, 0.9  # beats per minute, and octaves: the tempo range to which people tap
HARMONICS = 4
WINDOW_SECONDS = 24.0  # the window of the autocorrelation; the tempo may change from one window to the next
TIGHTNESS = 100.0
FEWEST_BEATS = 8
UNLIKELY = 0.05  # a confidence below it means no beats
CONFIDENT, DOUBT = 0.25, 0.7  # one of at least CONFIDENT + DOUBT / seconds means beats; short noise has some by chance
SHARP, SHARP_DOUBT = 0.10, 1.0  # between them: beats if the regularity of the attacks is SHARP + SHARP_DOUBT / seconds
PARTS, ATTACK_PARTS = 24, 2  # parts of a beat; the parts before and after a beat that belong to its attack
COMPARED_BEATS, WINDOW_BEATS = 8, 32  # the longest lag of the autocorrelation over beats, and its window
HEARD, HEARD_FRAMES = 0.05, 5  # the broad onset that beats have at least, as a mean; the frames around each
STRETCHES = (2 / 3, 3 / 2)  # the tracker may find three beats where the music has two, or two where it has three
CERTAIN, CLEARER = 0.8, 0.1  # a confidence above which no other tempo is tried; how much more another one must have
STRONGEST = 6.0  # dB: a stronger attack counts as one of this strength
MOST_SECONDS, BLOCK_SECONDS = 60.0, 4.0  # of attacks that are listened to; and read at a time
GRID_SECONDS = 0.25
BASS_BANDS, BASS_FRAMES = 3, 7  # mel bands below 200 Hz; an attack of a bass takes about 80 ms
WEAK_BASS = 0.3  # the share of the bass onset of a neighbour that makes an off-beat
WHOLE_BEATS = 0.1  # seconds by which tracked beats may miss the length of a loop


@dataclass(frozen=True)
class Pulse:
    """Times (seconds) at which music may be cut, (cuts,). tempo: in beats per minute, or None for an even grid.

    off_beat: True for beats that are between two beats of the music, (cuts,). confidence: how clearly the
    broad onsets repeat from beat to beat, at most about 1; 0 for a grid.
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


def pulse(pcm: Pcm, features: Features) -> Pulse:
    """The beats of a recording; a grid of 0.25 s if it has no clear beats.

    The broad onsets say how sure that is: the start of a pad raises few bands, a tick over a chord many. In doubt, the
    attacks decide, unless there are hardly any broad onsets. The beats follow the other onsets: with the broad ones,
    hats between two beats were more often taken for beats.
    """
    likeliest = likeliest_beats(features)
    if likeliest.confidence >= CONFIDENT + DOUBT / features.duration:
        return likeliest
    has_beats = likeliest.confidence >= UNLIKELY and are_sharp(pcm, features, likeliest.times)
    return likeliest if has_beats else grid(features)


def likeliest_beats(features: Features) -> Pulse:
    """The beats at the likeliest tempo; at another one if they are clearer."""
    strength, broad = (onset_strength(onsets, features.seconds) for onsets in (features.onsets, features.broad_onsets))
    period = beat_period(strength, features.seconds)
    likeliest = pulse_at(features, strength, broad, period)
    if not likeliest.rhythmic or likeliest.confidence >= CERTAIN:
        return likeliest
    periods = [stretch * period for stretch in STRETCHES if is_tempo(60 / (stretch * period * features.seconds))]
    others = [pulse_at(features, strength, broad, other) for other in periods]
    clearest = max(others, key=lambda other: other.confidence, default=likeliest)
    return clearest if clearest.confidence > likeliest.confidence + CLEARER else likeliest


def is_tempo(beats_per_minute: float) -> bool:
    """True for a tempo that music has."""
    return SLOWEST <= beats_per_minute <= FASTEST


def pulse_at(features: Features, strength: Array, broad: Array, period: float) -> Pulse:
    """The beats that are about so many frames apart; a grid if they are too few.

    strength and broad: of the onsets and of the broad onsets, (frames,).
    """
    beats = track(strength, period)
    if len(beats) < FEWEST_BEATS:
        return grid(features)
    times = beats * features.seconds
    confidence = regularity(broad, beats) if are_heard(features, beats) else 0.0
    return Pulse(times, 60 / float(np.median(np.diff(times)[1:-1])), off_beats(features, times), confidence)


def are_heard(features: Features, beats: NDArray[np.int64]) -> bool:
    """False if there are hardly any onsets at the beats: a slow change of a drone may be regular, too."""
    around = np.pad(features.broad_onsets, HEARD_FRAMES // 2, "edge")
    loudest = sliding_window_view(around, HEARD_FRAMES)[beats].max(axis=1)
    return bool(loudest.mean() >= HEARD)


def are_sharp(pcm: Pcm, features: Features, times: NDArray[Any]) -> bool:
    """True if the attacks repeat from beat to beat in the minute with the most broad onsets.

    An attack is heard where the onset of a whole frame is quiet: a click is much shorter than a frame. times: of the
    beats, in seconds.
    """
    seconds = min(pcm.seconds, MOST_SECONDS)
    size = min(round(seconds / features.seconds), len(features.level))
    total = np.concatenate([[0.0], np.cumsum(features.broad_onsets, dtype=np.float64)])
    start = int(np.argmax(total[size:] - total[: len(total) - size])) * features.seconds
    inside = times[(times >= start) & (times <= start + seconds)]
    if len(inside) < FEWEST_BEATS:
        return False
    strength = onset_strength(attacks(pcm, features, start, seconds), features.seconds)
    return regularity(strength, features.frames(inside)) >= SHARP + SHARP_DOUBT / seconds


def attacks(pcm: Pcm, features: Features, start: float, seconds: float) -> Array:
    """The energy of the sudden rises from start for some seconds, in dB squared, in every frame, (frames,)."""
    step = bin_frames(pcm.rate)
    energy = np.zeros(len(features.level), np.float32)
    stop = round((start + seconds) * pcm.rate)
    block = round(BLOCK_SECONDS * pcm.rate / step) * step
    for first in range(round(start * pcm.rate), stop, block):
        onsets = onsets_around(pcm, first, 0, min(block, stop - first) // step, with_middle=True)
        times = (first + np.arange(len(onsets)) * step) / pcm.rate
        np.add.at(energy, features.frames(times), np.minimum(onsets, STRONGEST) ** 2)
    audible = features.level > loud_level(features.level) * 10 ** (FLOOR_DB / 10)
    return np.asarray(energy * audible, np.float32)


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


def autocorrelation(strength: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Mean autocorrelation of windows of `size` values that overlap by half, unbiased, 1 at lag 0; (size // 2,)."""
    starts = range(0, max(1, len(strength) - size // 2), size // 2)
    total = np.zeros(size + 1)
    for start in starts:
        part = strength[start : start + size]
        total += np.abs(np.fft.rfft(part - part.mean(), 2 * size)) ** 2
    by_lag = np.fft.irfft(total)[: size // 2] / np.arange(size, size - size // 2, -1)
    return np.asarray(by_lag / max(float(by_lag[0]), 1e-12))


def beat_period(strength: Array, seconds: float) -> float:
    """The frames between beats: where a comb over the autocorrelation is highest.

    The comb is the mean at 1 to 4 periods, less its mean over all tempos, weighted by a log-normal around 120 BPM.
    """
    size = min(round(WINDOW_SECONDS / seconds), max(64, len(strength)))
    by_lag = autocorrelation(strength, size)
    periods = np.geomspace(60 / FASTEST / seconds, 60 / SLOWEST / seconds, 400)
    harmonics = [number for number in range(1, HARMONICS + 1) if number * periods[-1] < len(by_lag)] or [1]
    combs = np.mean([np.interp(number * periods, np.arange(len(by_lag)), by_lag) for number in harmonics], axis=0)
    likely = np.exp(-0.5 * (np.log2(60 / (periods * seconds) / USUAL) / SPREAD) ** 2)
    return float(periods[np.argmax((combs - combs.mean()) * likely)])


def regularity(strength: Array, beats: NDArray[np.int64]) -> float:
    """How clearly onsets repeat from beat to beat, at most about 1; 0 if they do not.

    It is their autocorrelation after 1 to 8 beats, less that between beats. It counts parts of a beat instead of
    seconds, so a tempo that changes does not blur it.
    """
    edges = np.interp(np.arange(PARTS * (len(beats) - 1) + 1) / PARTS, np.arange(len(beats)), beats)
    total = np.concatenate([[0.0], np.cumsum(strength, dtype=np.float64)])
    parts = np.diff(np.interp(edges, np.arange(len(total)), total)) / np.diff(edges)
    by_lag = autocorrelation(parts, min(len(parts), WINDOW_BEATS * PARTS))[PARTS // 2 :]
    compared = min(COMPARED_BEATS, len(by_lag) // PARTS)
    around = by_lag[: compared * PARTS].reshape(compared, PARTS).mean(axis=0)
    between = np.delete(around, slice(PARTS // 2 - ATTACK_PARTS, PARTS // 2 + ATTACK_PARTS + 1))
    return float(around[PARTS // 2] - between.mean())


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
        before = sliding_window_view(score[first : last + farthest - nearest], len(steps))
        reached = before[: last - first] + penalty
        best = reached.argmax(axis=1)
        gain = reached[np.arange(last - first), best]
        score[first + farthest : last + farthest] += np.maximum(gain, 0)
        back[first:last] = np.where(gain > 0, np.arange(first, last) - steps[best], -1)
    return score[farthest:], back
