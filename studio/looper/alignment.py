"""Measures the distance in time between two stretches of music: by their onsets, or by their waveforms."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.looper.features import sums
from studio.looper.pcm import Array, Pcm

BINS_A_SECOND = 4000  # of the onset envelope, about: a bin is a whole number of frames
HIGH_BELL = 0.003  # seconds of smoothing: shorter than an attack, longer than most periods
MIDDLE_WINDOW = 0.00015  # seconds: of a low-pass
LOW_BANDS = ((0.0005, 0.004), (0.0018, 0.006))  # seconds: a low-pass window, and the bell that smooths the level
RISE_GAP, RISE_SECONDS = 0.001, 0.03  # an onset is above the level of the 30 ms that ended 1 ms before
HISTORY_SECONDS = 0.04  # the sound before a stretch that its first onsets need
FLOOR_DB = -50.0  # relative to the loudest bin; a rise below this level is not an onset
HIGHEST_RATE = 50_000  # Hz; above it, hiss would be louder than attacks in a second difference
CLEAR = 0.85  # the correlation of two attacks; what is below may be chance
CLEARLY_ELSEWHERE = 2.0  # times as alike as at the expected place


def bin_frames(rate: int) -> int:
    """Frames in a bin of the onset envelope."""
    decimation = -(-rate // HIGHEST_RATE)
    return max(1, round(rate / decimation / BINS_A_SECOND)) * decimation


def onset_envelope(mono: Array, rate: int, with_middle: bool = False) -> Array:
    """Onsets in dB, one value a bin, (len(mono) // bin_frames(rate),), never negative.

    The levels are those of second differences: in them, a click stands out of any sustained tone, because they weigh a
    frequency f with f squared. A kick stands out only of the tones as low as it is, so low-pass filters add two bands.
    with_middle: add a band around 3 kHz, too, in which a soft click stands out of a chord of saws. With it, the onsets
    of two strokes on the same drum are less alike.
    """
    step, decimation = bin_frames(rate), -(-rate // HIGHEST_RATE)
    whole = mono[: len(mono) // step * step]
    full, low = sums(whole, decimation), sums(whole, step)
    bins_per_second = rate / step
    high = [full, low_passed(full, MIDDLE_WINDOW * rate / decimation)] if with_middle else [full]
    total = np.zeros(len(low))
    for signal in high:
        total += rises(sums(second_differences(signal) ** 2, step // decimation), HIGH_BELL, bins_per_second)
    for window, bell in LOW_BANDS:
        total += rises(second_differences(low_passed(low, window * bins_per_second)) ** 2, bell, bins_per_second)
    return np.asarray(total, np.float32)


def second_differences(signal: Array) -> Array:
    """Second differences, 0 at both edges; same shape."""
    differences = np.zeros_like(signal)
    first = np.diff(signal)
    np.subtract(first[1:], first[:-1], out=differences[1:-1])
    return differences


def low_passed(signal: NDArray[Any], window: float) -> NDArray[Any]:
    """A moving average over about `window` values, twice; same shape."""
    size = max(2, round(window))
    mean = np.full(size, 1 / size)
    return np.convolve(np.convolve(signal, mean, "same"), mean, "same")


def rises(energy: NDArray[Any], bell_seconds: float, bins_per_second: float) -> NDArray[np.float64]:
    """How far the level is above the loudest of the 30 ms before, in dB, (bins,).

    Tones that beat against each other make the level rise slowly; an attack rises suddenly.
    """
    bell = np.hanning(round(bell_seconds * bins_per_second) + 2)
    smooth = np.convolve(energy, bell, "same")
    level = 10 * np.log10(np.maximum(smooth / (float(smooth.max()) + 1e-30), 10 ** (FLOOR_DB / 10)))
    gap, window = round(RISE_GAP * bins_per_second), round(RISE_SECONDS * bins_per_second)
    before = moving_maximum(np.pad(level, (window + gap, 0), "edge"), window)[: len(level)]
    return np.asarray(np.maximum(0, level - before))


def moving_maximum(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The largest of every `size` neighbouring values, (len(values) - size + 1,)."""
    width = 1
    while 2 * width <= size:
        values = np.maximum(values[:-width], values[width:])
        width *= 2
    return np.maximum(values[: len(values) - size + width], values[size - width :])


def correlation(pattern: Array, longer: Array) -> NDArray[np.float64]:
    """Normalised cross-correlation of a pattern at every place of a longer signal, -1 to 1, by FFT.

    Both are mono; the result has the shape (len(longer) - len(pattern) + 1,). After J. P. Lewis, "Fast Normalized
    Cross-Correlation", Vision Interface (1995).
    """
    places = len(longer) - len(pattern) + 1
    size = 2 ** int(np.ceil(np.log2(len(longer))))
    product = np.fft.rfft(longer.astype(np.float64), size) * np.conj(np.fft.rfft(pattern.astype(np.float64), size))
    energy = np.concatenate([[0.0], np.cumsum(longer.astype(np.float64) ** 2)])
    there = energy[len(pattern) :] - energy[:places]
    here = float((pattern.astype(np.float64) ** 2).sum())
    return np.asarray(np.fft.irfft(product, size)[:places] / np.sqrt(np.maximum(there * here, 1e-12)))


def peak(values: NDArray[np.float64]) -> float:
    """The position of the largest value; a parabola through its neighbours gives the part between samples."""
    best = int(values.argmax())
    if not 0 < best < len(values) - 1:
        return float(best)
    left, top, right = values[best - 1 : best + 2]
    bend = left - 2 * top + right
    return best + (0.5 * float(left - right) / float(bend) if bend < 0 else 0.0)


def bell_shaped(distance: NDArray[Any], deviation: float) -> NDArray[np.float64]:
    """The weights of a Gaussian, 1 at distance 0."""
    return np.asarray(np.exp(-0.5 * (distance / deviation) ** 2))


def likely_shift(correlations: NDArray[np.float64], deviation: float) -> tuple[float, float]:
    """Find an attack near the middle of some correlations. deviation: its expected distance, in places.

    Returns (places from the middle, the likeness there). If no place is clear, returns the middle.
    """
    middle = len(correlations) // 2
    likely = correlations * bell_shaped(np.arange(len(correlations)) - middle, deviation)
    if correlations.max() >= max(CLEAR, CLEARLY_ELSEWHERE * correlations[middle]):
        likely = correlations
    best = peak(likely) if correlations[likely.argmax()] >= CLEAR else float(middle)
    return best - middle, float(correlations[round(best)])


def wave_shift(here: Array, there: Array) -> tuple[int, float]:
    """Compare a waveform with all places of a longer one. Returns (the best place, the correlation there, -1 to 1)."""
    correlations = correlation(np.diff(here), np.diff(there))
    best = int(correlations.argmax())
    return best, float(correlations[best])


def onsets_around(pcm: Pcm, frame: int, before: int, after: int, with_middle: bool = False) -> Array:
    """The onset envelope from `before` bins before a frame of the recording to `after` bins after it."""
    step = bin_frames(pcm.rate)
    history = -(-round(HISTORY_SECONDS * pcm.rate) // step)
    sound = pcm.mono(frame - (before + history) * step, frame + after * step)
    return onset_envelope(sound, pcm.rate, with_middle)[history:]
