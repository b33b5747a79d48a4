"""What an ear would notice at the seam of a loop, as numbers; shared by the tests and by make bench-loops."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Audio = NDArray[np.float32]  # (frames, channels), -1 to 1

WINDOW, HOP = 1024, 128  # frames, of spectral flux
FLOOR = 0.001 * WINDOW / 4  # the magnitude of a sine at -60 dBFS
LEVEL_SECONDS = 0.05
MARGIN_SECONDS = 0.03  # listened to before and after a seam
CONTEXT_SECONDS = 4.0  # compared on both sides of both ends
BANDS, BAND_SECONDS = 40, 0.046
MEL_RANGE = (61.0, 2840.0)  # mel: 39 to 8,000 Hz
SAME_BEAT_SECONDS = 0.1
SMALLEST_STEP = 1 / 32_768  # of a 16-bit sample
SMALLEST_FLUX = 0.01  # less is silence: a steady tone has 0.5, noise at -60 dBFS more than 100


@dataclass(frozen=True)
class Join:
    """A looped sound and its original, (frames, channels) at rate Hz: after frame `end` it goes on as after `start`.

    crossfade: frames mixed before the join, 0 for a plain cut.
    """

    original: Audio
    looped: Audio
    rate: int
    start: int
    end: int
    crossfade: int

    @property
    def length(self) -> int:
        """Frames of one round."""
        return self.end - self.start

    def around(self, sound: Audio, place: int) -> Audio:
        """The crossfade that ends at a place, with what is just before and after it."""
        margin = round(MARGIN_SECONDS * self.rate)
        low, high = place - self.crossfade - margin, place + margin
        part = sound[max(0, low) : high]
        return np.pad(part, ((max(0, -low), high - max(0, low) - len(part)), (0, 0)))


def beat_error(beats: NDArray[np.float64], start: float, end: float) -> float:
    """Seconds by which the beat at the seam comes early or late: all times in seconds.

    The beat nearest to the start decides. If the music ends before the beat that it becomes, an earlier one decides.
    """
    expected = beats + end - start
    inside = expected <= beats[-1] + SAME_BEAT_SECONDS
    here = expected[inside] if inside.any() else expected
    nearest = here[np.abs(here - end).argmin()]
    return float(np.abs(beats - nearest).min())


def has_whole_bars(beats: NDArray[np.float64], bar: int, start: float, end: float) -> bool:
    """True if a loop (seconds) has a whole number of bars, with so many beats each."""
    first, last = (int(np.abs(beats - time).argmin()) for time in (start, end))
    return (last - first) % bar == 0


def step(join: Join) -> float:
    """The largest difference between neighbouring samples where the seam begins and where it ends."""
    places = sorted({join.end - join.crossfade, join.end})
    return max(float(np.abs(join.looped[place] - join.looped[place - 1]).max()) for place in places)


def usual_step(join: Join) -> float:
    """The 99.9th percentile of the differences between neighbouring samples of the original."""
    return float(np.percentile(np.abs(np.diff(join.original, axis=0)), 99.9))


def step_ratio(join: Join) -> float:
    """The step at the seam against the largest_step() of its ends; 1 or less cannot be heard.

    usual_step() is a measure of the whole piece: in a piece with loud drums, it hides a step in a soft chord.
    """
    return step(join) / largest_step(join)


def inner_step_ratio(join: Join) -> float:
    """The same of the largest difference anywhere in the crossfade; a mix of noises may have a little more than 1."""
    mixed = join.looped[max(0, join.end - join.crossfade - 1) : join.end + 1]
    return float(np.abs(np.diff(mixed, axis=0)).max()) / largest_step(join)


def largest_step(join: Join) -> float:
    """The largest difference between neighbouring samples that the music itself has around the ends of the loop.

    It looks at both places that the seam joins, as far as around() does: the crossfade and 30 ms to both sides.
    """
    parts = (join.around(join.original, end) for end in (join.start, join.end))
    return max(SMALLEST_STEP, *(float(np.abs(np.diff(part, axis=0)).max()) for part in parts))


def flux_ratio(join: Join) -> float:
    """Mean spectral flux at the seam against the larger of the original's at the same two places."""
    there = max(flux(join.around(join.original, place)) for place in (join.start, join.end))
    return flux(join.around(join.looped, join.end)) / max(there, SMALLEST_FLUX)


def flux(sound: Audio) -> float:
    """How much the spectrum rises from one moment to the next, on average, of log magnitudes down to -60 dBFS."""
    windows = sliding_window_view(sound.mean(axis=1), WINDOW)[::HOP] * np.hanning(WINDOW)
    spectra = np.log1p(np.abs(np.fft.rfft(windows)) / FLOOR)
    return float(np.maximum(0, np.diff(spectra, axis=0)).sum(axis=1).mean())


def dip(join: Join) -> float:
    """How far the level falls at the seam, in dB, against the softer of the two places it joins."""
    size = round(LEVEL_SECONDS * join.rate)
    softer = np.minimum(*(levels(join.around(join.original, place), size) for place in (join.start, join.end)))
    there = levels(join.around(join.looped, join.end), size)
    return float((10 * np.log10((there + 1e-9) / (softer + 1e-9))).min())


def levels(sound: Audio, size: int) -> NDArray[np.float64]:
    """Mean squares of windows of so many frames, every tenth of one."""
    return np.asarray((sliding_window_view(sound, size, axis=0)[:: size // 10] ** 2).mean(axis=(1, 2)))


def alike(sound: Audio, rate: int, start: int, end: int) -> tuple[float, float]:
    """How alike the music is around two frames, 4 seconds to both sides, -1 to 1: (by its onsets, by its spectrum).

    The first is the correlation of onset envelopes: the mean rise of 40 mel bands in dB within a hundredth of a second.
    It is low if a loop misses the beat by more than that. The second is the correlation of the bands themselves, each
    less its mean. Near the ends of the recording, less than 4 seconds are compared, the same around both frames.
    """
    before = min(round(CONTEXT_SECONDS * rate), start)
    after = min(round(CONTEXT_SECONDS * rate), len(sound) - end)
    here, there = (bands(sound[place - before : place + after].mean(axis=1), rate) for place in (start, end))
    rises = [np.maximum(0, np.diff(levels, axis=0)).mean(axis=1) for levels in (here, there)]
    middle = (here.mean(axis=0) + there.mean(axis=0)) / 2
    return correlation(*(rise - rise.mean() for rise in rises)), correlation(here - middle, there - middle)


def bands(mono: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Levels of 40 mel bands in dB, not below -60 dB of the loudest, every 10 ms; (frames, 40)."""
    windows = sliding_window_view(mono, 2 ** round(np.log2(BAND_SECONDS * rate)))[:: rate // 100]
    power = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]))) ** 2
    frequencies = np.fft.rfftfreq(windows.shape[1], 1 / rate)
    edges = 700 * (10 ** (np.linspace(*MEL_RANGE, BANDS + 2) / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequencies[:, None]) / np.diff(edges)[1:]
    summed = power @ np.maximum(0, np.minimum(rising, falling))
    return np.asarray(10 * np.log10(np.maximum(summed, summed.max() * 1e-6) + 1e-12))


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The cosine of the angle between two arrays of the same shape; 0 if one of them is zero."""
    power = float((one**2).sum() * (other**2).sum())
    return float((one * other).sum()) / power**0.5 if power > 0 else 0.0
