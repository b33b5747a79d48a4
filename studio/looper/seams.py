"""Makes the seam of a loop: finds the exact place of the cut, and crossfades the two ends."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studio.looper.alignment import onset_shift, transient, wave_shift
from studio.looper.beats import Pulse
from studio.looper.features import Array
from studio.looper.pcm import Audio, Pcm
from studio.looper.repeats import NEAR_BEST, Repeat, roomy

RHYTHMIC_CROSSFADE = 0.03  # seconds
SHORT_CROSSFADE, LONG_CROSSFADE = 0.25, 1.0  # seconds, for music without beats; the long one also for a poor seam
REACH, FINE_REACH = 0.03, 0.001  # seconds; onsets may move an alignment by the first, waveforms by the second
SAME_RECORDING = 0.8  # correlation
AROUND_BEAT = 0.08  # seconds
BEFORE_ATTACK = 0.004  # seconds; an attack begins a little before its steepest rise
SLIDE = 0.5  # seconds to each side, for music without beats
QUIET_SHARE, MASKING = 0.1, 0.3  # weights of the power and of a following attack; the weight of the difference is 1
SEAM_SHARE, ONSET_SHARE = 0.1, 0.1  # shares of the cost
GOOD, FAIR = 0.7, 0.45  # scores
LEAST_CORRELATION = -0.5  # below this, a crossfade of opposite phases would be too loud


@dataclass(frozen=True)
class Seam:
    """After frame `end`, the music continues at frame `start`. The `crossfade` frames before both are mixed."""

    start: int
    end: int
    crossfade: int
    cost: float

    @property
    def lag(self) -> int:
        """Frames in one round of the loop."""
        return self.end - self.start

    @property
    def score(self) -> float:
        """The likeness of the two ends, 0 to 1."""
        return round(min(1.0, max(0.0, 1 - self.cost)), 3)

    @property
    def quality(self) -> str:
        """good, fair or poor."""
        return "good" if self.score >= GOOD else "fair" if self.score >= FAIR else "poor"


def best_seam(pcm: Pcm, pulse: Pulse, pairs: list[Repeat]) -> Seam:
    """The longest seam among those with a cost near the best. pairs must not be empty."""
    seams = [seam for pair in pairs for seam in seams_of(pcm, pulse, pair)]
    best = min(seam.cost for seam in seams)
    near = [seam for seam in seams if seam.cost <= best + NEAR_BEST]
    seam = max(near, key=lambda seam: (seam.lag // pcm.rate, -seam.cost))
    return seam if seam.quality != "poor" else lengthened(pcm, seam, LONG_CROSSFADE)


def seams_of(pcm: Pcm, pulse: Pulse, pair: Repeat) -> Iterator[Seam]:
    """The possible seams of a pair: before each of three beats; without beats, one seam near the pair."""
    if not pulse.rhythmic:
        yield even_seam(pcm, pair)
        return
    yield beat_seam(pcm, pair)
    beat = pulse.nearest(pair.start)
    for start in pulse.times[[max(0, beat - 1), min(beat + 1, len(pulse.times) - 1)]]:
        moved = replace(pair, start=float(start), end=float(start) + pair.length)
        if roomy(np.array([moved.start, moved.end]), pcm.seconds).all():
            yield beat_seam(pcm, moved)


def beat_seam(pcm: Pcm, pair: Repeat) -> Seam:
    """A seam just before a beat. The onsets decide the lag.

    If both sides are the same recording, the waveform moves the lag by at most a millisecond. Otherwise the waveform
    would follow the phase of a chord and miss the beat.
    """
    around, reach, fine = frames(pcm, AROUND_BEAT), frames(pcm, REACH), frames(pcm, FINE_REACH)
    start, end = frames(pcm, pair.start), frames(pcm, pair.end)
    here = pcm.mono(start - around, start + around)
    there = pcm.mono(end - around - reach, end + around + reach)
    shift, fitting = onset_shift(here, there, pcm.rate)
    attack = transient(here, pcm.rate)
    near = slice(max(0, attack - around // 8), attack + around // 2)
    by_wave, alike = wave_shift(here[near], padded(there, near.start + shift - fine, near.stop + shift + fine))
    shift += by_wave - fine if alike > SAME_RECORDING else 0
    lag = end - start - reach + shift
    crossfade = frames(pcm, RHYTHMIC_CROSSFADE)
    high = start - around + attack - frames(pcm, BEFORE_ATTACK)
    unfit = replace(pair, cost=pair.cost + ONSET_SHARE * (1 - fitting))
    return cut(pcm, unfit, lag, (high - around, high), crossfade)


def even_seam(pcm: Pcm, pair: Repeat) -> Seam:
    """A seam in music without beats. The waveform decides the lag; the likeness decides the length of the crossfade."""
    window, reach = frames(pcm, SLIDE), frames(pcm, REACH)
    start, end = frames(pcm, pair.start), frames(pcm, pair.end)
    here = pcm.mono(start - window, start + window)
    there = pcm.mono(end - window - reach, end + window + reach)
    lag = end - start - reach + wave_shift(here, there)[0]
    seam = cut(pcm, pair, lag, (start - window, start + window), frames(pcm, SHORT_CROSSFADE))
    differing = min(1.0, 2 * (1 - likeness(*sides(pcm, seam))))
    return lengthened(pcm, seam, SHORT_CROSSFADE + (LONG_CROSSFADE - SHORT_CROSSFADE) * differing)


def cut(pcm: Pcm, pair: Repeat, lag: int, place: tuple[int, int], crossfade: int) -> Seam:
    """Move a crossfade, with the same lag, to the place where the cut is heard least.

    Such a place is quiet, has a small difference between both sides, and is just before an attack that masks the cut.
    """
    after, step = frames(pcm, 0.015), max(1, frames(pcm, 0.001))
    low = max(place[0], crossfade)
    high = max(low, min(place[1], pcm.frames - lag))
    here = pcm.read(low - crossfade, high + after)
    there = pcm.read(low - crossfade + lag, high + after + lag)
    ends = np.arange(crossfade, crossfade + high - low + 1, step)
    differing = moving_power(here - there, ends, crossfade)
    power = (moving_power(here, ends, crossfade) + moving_power(there, ends, crossfade)) / 2
    following = moving_power(here, ends + after, after)
    usual = float((here**2).mean() + (there**2).mean()) / 2 + 1e-9
    audible = 10 * np.log10((differing + QUIET_SHARE * power) / usual + 1e-6)
    masked = np.clip(10 * np.log10((following + 1e-9) / (power + 1e-9)), 0, 20)
    best = int(np.argmin(audible - MASKING * masked))
    start = low + int(ends[best]) - crossfade
    cost = pair.cost + SEAM_SHARE * min(1.0, float(np.sqrt(differing[best] / usual / 2)))
    return Seam(start, start + lag, crossfade, cost)


def moving_power(sound: Audio, ends: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Mean squares of the `size` frames before each end, over all channels, (ends,)."""
    total = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", sound, sound), dtype=np.float64)])
    return np.asarray(np.maximum(0, total[ends] - total[ends - size]) / (size * sound.shape[1]))


def lengthened(pcm: Pcm, seam: Seam, seconds: float) -> Seam:
    """The same seam with a crossfade of these seconds, or shorter if there is not enough room."""
    return replace(seam, crossfade=max(1, min(frames(pcm, seconds), seam.start, seam.lag // 2)))


def sides(pcm: Pcm, seam: Seam) -> tuple[Audio, Audio]:
    """(the sound that fades out, the sound that fades in) of the crossfade, (crossfade, channels) each."""
    leaving = pcm.read(seam.end - seam.crossfade, seam.end)
    return leaving, pcm.read(seam.start - seam.crossfade, seam.start)


def likeness(leaving: Audio, coming: Audio) -> float:
    """The correlation of two stretches, -1 to 1."""
    power = float((leaving**2).sum()) * float((coming**2).sum())
    return float((leaving * coming).sum()) / np.sqrt(power) if power > 0 else 0.0


def crossfaded(leaving: Audio, coming: Audio) -> Audio:
    """Mix both sounds with constant power for their correlation r, (frames, channels).

    The gains g1 and g2 are quarter waves, divided by sqrt(1 + 2 r g1 g2): the level of the sum of two signals with
    equal power and correlation r.
    """
    angle = (np.arange(len(leaving), dtype=np.float32)[:, None] + 0.5) / len(leaving) * np.float32(np.pi / 2)
    out, into = np.cos(angle), np.sin(angle)
    alike = np.float32(max(LEAST_CORRELATION, likeness(leaving, coming)))
    return np.clip((out * leaving + into * coming) / np.sqrt(1 + 2 * alike * out * into), -1, 1)


def frames(pcm: Pcm, seconds: float) -> int:
    """Convert seconds to frames."""
    return round(seconds * pcm.rate)


def padded(mono: Array, start: int, stop: int) -> Array:
    """mono[start:stop], with silence outside the signal."""
    inside = mono[max(0, start) : max(0, stop)]
    return np.pad(inside, (max(0, -start), stop - start - len(inside) - max(0, -start)))
