"""Makes the seam of a loop: finds the exact place of the cut, and crossfades the two ends."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from studio.looper.alignment import CLEAR, bell_shaped, bin_frames, correlation, likely_shift, onsets_around, wave_shift
from studio.looper.beats import Pulse
from studio.looper.drift import Line, fit
from studio.looper.features import smoothed
from studio.looper.pcm import Array, Audio, Pcm
from studio.looper.repeats import Repeat, roomy

RHYTHMIC_CROSSFADE = 0.03  # seconds
CALM_CROSSFADE, CALM_REACH = 0.15, 0.25  # seconds: of sustained sound between two attacks
ATTACK_EDGE, STRONG = 0.015, 0.3  # seconds around an attack; a rise of this share of it is another attack
SHORT_CROSSFADE, LONG_CROSSFADE = 0.25, 1.0  # seconds, where no attack masks a cut; the long one also for a poor seam
LEAST_SPREAD = 0.0005  # seconds
BEAT_REACH = 0.04  # seconds: how far a beat may be from the line
FINE_REACH = 0.0007  # seconds: a waveform may move a lag by this
EVEN_REACH = 0.15  # seconds: a little more than half a step of the grid of times
SAME_RECORDING = 0.8  # correlation
AROUND_BEAT, NEAR_BEAT = 0.08, 0.025  # seconds; the second is the standard deviation of the attack of a beat
BEFORE_ATTACK = 0.004  # seconds; an attack begins a little before its steepest rise
SLIDE = 0.5  # seconds to each side, for music without beats
QUIET_SHARE, MASKING = 0.1, 0.3  # weights of the power and of a following attack; the weight of the difference is 1
SEAM_SHARE, ONSET_SHARE = 0.1, 0.1  # shares of the cost
OFF_BEAT_COST = 0.05  # more than NEAR_BEST: the beat is preferred
SLOPE_COST = 1.5  # of a repeat at another tempo, times the slope: 2 % cost 0.03
OFF_LINE_COST = 0.04  # of a beat that is off the line by as much as all beats spread around it
CLOSE_SPREAD = 0.002  # seconds; beats that spread less count as if they spread so much
GOOD, FAIR = 0.7, 0.45  # scores: below the second, a seam is poor
MASKING_RISE, CLEAR_RISE = 2.0, 10.0  # dB, of three bands together: attacks where one is expected, and anywhere
LEVEL_SECONDS, LARGEST_GAIN = 0.05, 2.5  # of a long mix that is scaled to the level of its parts
LONG_MIX, ALIKE = 0.1, 0.5  # seconds, and the correlation of two sounds that do not cancel each other
SILENCE = 1e-9  # power
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


def seams_of(pcm: Pcm, pulse: Pulse, pair: Repeat) -> Iterator[Seam]:
    """The possible seams of a pair: before each of three beats; without beats, one seam near the pair."""
    if not pulse.rhythmic:
        yield even_seam(pcm, pair)
        return
    line = fit(pcm, pulse, pair)
    for moved in neighbours(pcm, pulse, pair) or [pair]:
        yield beat_seam(pcm, moved, line)


def neighbours(pcm: Pcm, pulse: Pulse, pair: Repeat) -> list[Repeat]:
    """A pair and those one beat earlier and later, if there is room; those on off-beats come last and cost more."""
    beat = pulse.nearest(pair.start)
    numbers = [number for number in (beat, beat - 1, beat + 1) if 0 <= number < len(pulse.times)]
    moved = [moved_to(pulse, number, pair) for number in sorted(numbers, key=lambda number: pulse.off_beat[number])]
    return [other for other in moved if roomy(np.array([other.start, other.end]), pcm.seconds).all()]


def moved_to(pulse: Pulse, number: int, pair: Repeat) -> Repeat:
    """The same pair at another beat."""
    start = float(pulse.times[number])
    return Repeat(start, start + pair.length, pair.cost + OFF_BEAT_COST * bool(pulse.off_beat[number]))


def beat_seam(pcm: Pcm, pair: Repeat, line: Line) -> Seam:
    """A seam just before a beat. The line of the onsets around decides the lag; the onsets of this beat correct it.

    If both sides are the same recording, the waveform moves the lag by less than a millisecond. Otherwise the waveform
    would follow the phase of a chord and miss the beat.
    """
    start, lag, step = frames(pcm, pair.start), frames(pcm, line.at(pair.start)), bin_frames(pcm.rate)
    beat = beat_onsets(pcm, start, lag)
    deviation = max(LEAST_SPREAD, line.spread) * (1 if line.is_steady else 3)
    shift, fitting = likely_shift(beat.correlations, deviation * beat.bins_per_second)
    attack = transient(beat)
    longest = min(
        calm_seconds(beat, beat.here, attack), calm_seconds(beat, beat.there, attack + beat.reach + round(shift))
    )
    is_expected = line.is_steady or fitting >= CLEAR
    is_masked = beat.rise(beat.here, attack) >= (MASKING_RISE if is_expected else CLEAR_RISE)
    crossfade = min(CALM_CROSSFADE, max(RHYTHMIC_CROSSFADE, longest - AROUND_BEAT)) if is_masked else SHORT_CROSSFADE
    steepest = start + (attack - beat.place) * step
    lag = same_wave(pcm, steepest, lag + round(shift * step))
    high = steepest - frames(pcm, BEFORE_ATTACK)
    cost = pair.cost + ONSET_SHARE * (1 - fitting) + line_cost(line, pair.start, abs(shift) / beat.bins_per_second)
    seam = cut(pcm, replace(pair, cost=cost), lag, (high - frames(pcm, AROUND_BEAT), high), frames(pcm, crossfade))
    return seam if is_masked else softened(pcm, seam)


def line_cost(line: Line, start: float, off: float) -> float:
    """The cost of the slope at start, and of a beat so many seconds off the line: the music would not fit as well."""
    return SLOPE_COST * abs(line.slope_at(start)) + OFF_LINE_COST * off / max(CLOSE_SPREAD, line.spread)


@dataclass(frozen=True)
class BeatOnsets:
    """The onset envelopes of a beat and of its repeat; the repeat's has `reach` more bins at both ends.

    place: the bin of the beat in `here`.
    """

    here: Array
    there: Array
    place: int
    reach: int
    bins_per_second: float

    @cached_property
    def correlations(self) -> NDArray[np.float64]:
        """How alike both are at every shift, up to `reach` bins to both sides; the middle is shift 0."""
        low, high = 2 * self.place - len(self.here), len(self.here)
        return correlation(self.here[low:high], self.there[low : high + 2 * self.reach])

    @property
    def edge(self) -> int:
        """The bins of ATTACK_EDGE."""
        return round(ATTACK_EDGE * self.bins_per_second)

    def rise(self, onsets: Array, attack: int) -> float:
        """How much the sound rises at an attack (a bin), in dB of all bands together."""
        return float(onsets[attack - self.edge : attack + self.edge].max())


def beat_onsets(pcm: Pcm, start: int, lag: int) -> BeatOnsets:
    """The onsets around frame `start`, and around start + lag."""
    bins_per_second = pcm.rate / bin_frames(pcm.rate)
    before, after, reach = (
        round(seconds * bins_per_second) for seconds in (CALM_REACH + AROUND_BEAT, AROUND_BEAT, BEAT_REACH)
    )
    here = onsets_around(pcm, start, before, after)
    there = onsets_around(pcm, start + lag, before + reach, after + reach)
    return BeatOnsets(here, there, before, reach, bins_per_second)


def transient(beat: BeatOnsets) -> int:
    """The bin of the first rise near a beat that is nearly as steep as the steepest one."""
    around = len(beat.here) - beat.place
    rises = np.convolve(beat.here[-2 * around :], np.ones(8), "same")  # 2 ms: one attack, not one bin
    rises *= bell_shaped(np.arange(-around, around), NEAR_BEAT * beat.bins_per_second)
    return beat.place - around + int(np.argmax(rises > 0.7 * rises.max()))


def calm_seconds(beat: BeatOnsets, onsets: Array, attack: int) -> float:
    """The seconds between an attack (a bin) and the attack before it, at most CALM_REACH."""
    reach = round(CALM_REACH * beat.bins_per_second)
    strong = np.flatnonzero(onsets[attack - reach : attack - beat.edge] > STRONG * beat.rise(onsets, attack))
    return float(reach - strong[-1] if len(strong) else reach) / beat.bins_per_second


def same_wave(pcm: Pcm, attack: int, lag: int) -> int:
    """The lag at which both waveforms of an attack are the same, at most FINE_REACH away; lag if they differ."""
    fine, low, high = frames(pcm, FINE_REACH), attack - frames(pcm, 0.01), attack + frames(pcm, 0.04)
    shift, alike = wave_shift(pcm.mono(low, high), pcm.mono(low + lag - fine, high + lag + fine))
    return lag + shift - fine if alike > SAME_RECORDING else lag


def even_seam(pcm: Pcm, pair: Repeat) -> Seam:
    """A seam in music without beats. The waveform decides the lag; the likeness decides the length of the crossfade."""
    window, reach = frames(pcm, SLIDE), frames(pcm, min(EVEN_REACH, pair.length / 4))
    start, end = frames(pcm, pair.start), frames(pcm, pair.end)
    here = pcm.mono(start - window, start + window)
    there = pcm.mono(end - window - reach, end + window + reach)
    lag = end - start - reach + wave_shift(here, there)[0]
    return softened(pcm, cut(pcm, pair, lag, (start - window, start + window), frames(pcm, SHORT_CROSSFADE)))


def exact_seam(pcm: Pcm, pulse: Pulse, pair: Repeat) -> Seam:
    """A seam exactly at both times of a pair."""
    start, end = frames(pcm, pair.start), frames(pcm, pair.end)
    seam = lengthened(pcm, Seam(start, end, 0, pair.cost), RHYTHMIC_CROSSFADE if pulse.rhythmic else SHORT_CROSSFADE)
    return seam if pulse.rhythmic else softened(pcm, seam)


def softened(pcm: Pcm, seam: Seam) -> Seam:
    """The same seam with a long crossfade, because no attack masks it: the less its sides are alike, the longer."""
    different = min(1.0, 2 * (1 - likeness(*sides(pcm, seam))))
    return lengthened(pcm, seam, SHORT_CROSSFADE + (LONG_CROSSFADE - SHORT_CROSSFADE) * different)


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
    return inside(pcm, Seam(start, start + lag, crossfade, cost))


def inside(pcm: Pcm, seam: Seam) -> Seam:
    """The same seam; if it would end after the recording, earlier, and with a crossfade for which there is room."""
    end = min(seam.end, pcm.frames)
    start = max(0, end - seam.lag)
    return replace(seam, start=start, end=end, crossfade=min(seam.crossfade, start, (end - start) // 2))


def moving_power(sound: Audio, ends: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Mean squares of the `size` frames before each end, over all channels, (ends,)."""
    total = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", sound, sound), dtype=np.float64)])
    return np.asarray(np.maximum(0, total[ends] - total[ends - size]) / (size * sound.shape[1]))


def lengthened(pcm: Pcm, seam: Seam, seconds: float) -> Seam:
    """The same seam with a crossfade of these seconds, or a shorter one (even none) if there is no room for it."""
    return replace(seam, crossfade=max(0, min(frames(pcm, seconds), seam.start, seam.lag // 2)))


def sides(pcm: Pcm, seam: Seam) -> tuple[Audio, Audio]:
    """(the sound that fades out, the sound that fades in) of the crossfade, (crossfade, channels) each."""
    leaving = pcm.read(seam.end - seam.crossfade, seam.end)
    return leaving, pcm.read(seam.start - seam.crossfade, seam.start)


def likeness(leaving: Audio, entering: Audio) -> float:
    """The correlation of two stretches, -1 to 1."""
    power = float((leaving**2).sum()) * float((entering**2).sum())
    return float((leaving * entering).sum()) / np.sqrt(power) if power > 0 else 0.0


def crossfaded(leaving: Audio, entering: Audio, rate: int) -> Audio:
    """Mix both sounds with constant power, (frames, channels).

    The gains are quarter waves. A long mix is then scaled so that its power equals the sum of the powers of both parts
    at every moment: tones that cancel each other would leave a hole. A short one is divided by sqrt(1 + 2 r g1 g2): the
    level of the sum of two sounds with equal power and correlation r.
    """
    angle = (np.arange(len(leaving), dtype=np.float32)[:, None] + 0.5) / len(leaving) * np.float32(np.pi / 2)
    out, into = np.cos(angle), np.sin(angle)
    alike = likeness(leaving, entering)
    if alike < ALIKE and len(leaving) >= LONG_MIX * rate:
        inside = np.minimum(1, 4 * out * into)  # at the edges, the gain is 1
        window = min(round(LEVEL_SECONDS * rate), len(leaving) // 3)
        gains = 1 + inside * (level_gains(out * leaving, into * entering, window) - 1)
    else:
        gains = 1 / np.sqrt(1 + 2 * np.float32(max(LEAST_CORRELATION, alike)) * out * into)
    return np.asarray(np.clip((out * leaving + into * entering) * gains, -1, 1), np.float32)


def level_gains(fading: Audio, rising: Audio, window: int) -> Audio:
    """The gains that give the sum of two sounds the sum of their powers in every window, (frames, channels)."""
    gains = np.empty_like(fading)
    for channel in range(fading.shape[1]):
        parts = (fading[:, channel], rising[:, channel], fading[:, channel] + rising[:, channel])
        one, other, mixed = (smoothed(smoothed(part**2, window), window) for part in parts)
        gains[:, channel] = np.sqrt((one + other + SILENCE) / (mixed + SILENCE))
    return np.clip(gains, 1 / LARGEST_GAIN, LARGEST_GAIN)


def frames(pcm: Pcm, seconds: float) -> int:
    """Convert seconds to frames."""
    return round(seconds * pcm.rate)
