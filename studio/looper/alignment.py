"""Measures the distance in time between two stretches of music: by their onsets, or by their waveforms."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.looper.pcm import Array, Pcm

BINS_A_SECOND = 4000  # of the onset envelope, nearly: a bin is a whole number of frames
BELL_SECONDS = 0.003  # the width of smoothing: shorter than an attack, longer than most periods
RISE_GAP, RISE_SECONDS = 0.001, 0.02  # an onset is above the level of the 20 ms that ended 1 ms before
HISTORY_SECONDS = 0.025  # the sound before a stretch that its first onsets need
FLOOR_DB = -50.0  # relative to the loudest bin; a rise below this level is not an onset
HIGHEST_RATE = 50_000  # Hz; above it, hiss would be louder than attacks in a second difference


def bin_frames(rate: int) -> int:
    """Frames in a bin of the onset envelope."""
    decimation = -(-rate // HIGHEST_RATE)
    return max(1, round(rate / decimation / BINS_A_SECOND)) * decimation


def onset_envelope(mono: Array, rate: int) -> Array:
    """Onsets in dB, one value a bin, (len(mono) // bin_frames(rate),), never negative.

    The level is that of the second difference: in it, a click stands out of any sustained tone, because it weighs a
    frequency f with f squared. An onset is how far the level is above the loudest of the 20 ms before. Tones that beat
    against each other make the level rise and fall slowly, so it has been there before; an attack has not.
    """
    step, decimation = bin_frames(rate), -(-rate // HIGHEST_RATE)
    count = len(mono) // step
    slower = mono[: count * step].reshape(-1, decimation).mean(axis=1) if decimation > 1 else mono[: count * step]
    lively = np.zeros_like(slower)
    lively[1:-1] = np.diff(slower, 2)
    energy = (lively.reshape(count, -1) ** 2).sum(axis=1)
    bell = np.hanning(round(BELL_SECONDS * rate / step) + 2)
    smooth = np.convolve(energy, bell, "same")
    level = 10 * np.log10(np.maximum(smooth / (float(smooth.max()) + 1e-30), 10 ** (FLOOR_DB / 10)))
    gap, window = round(RISE_GAP * rate / step), round(RISE_SECONDS * rate / step)
    before = np.concatenate([np.full(window + gap, level[0] if count else 0.0), level])
    return np.asarray(np.maximum(0, level - moving_maximum(before, window)[:count]), np.float32)


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


def onset_shift(here: Array, there: Array, deviation: float) -> tuple[float, float]:
    """Compare a short onset envelope with all places of a longer one, which is expected in the middle.

    deviation: how far the place may be from the middle, in bins, as a standard deviation. Returns (bins from the middle
    to the place where they are most alike, the likeness there from 0 to 1).
    """
    correlations = correlation(here, there)
    middle = len(correlations) // 2
    best = peak(correlations * bell_shaped(np.arange(len(correlations)) - middle, deviation))
    return best - middle, float(correlations[round(best)])


def wave_shift(here: Array, there: Array) -> tuple[int, float]:
    """Compare a waveform with all places of a longer one. Returns (the best place, the correlation there, -1 to 1)."""
    correlations = correlation(np.diff(here), np.diff(there))
    best = int(correlations.argmax())
    return best, float(correlations[best])


def onsets_around(pcm: Pcm, frame: int, before: int, after: int) -> Array:
    """The onset envelope from `before` bins before a frame of the recording to `after` bins after it."""
    step = bin_frames(pcm.rate)
    history = -(-round(HISTORY_SECONDS * pcm.rate) // step)
    return onset_envelope(pcm.mono(frame - (before + history) * step, frame + after * step), pcm.rate)[history:]
