"""Measures the distance in time between two stretches of music: by their onsets, or by their waveforms."""

import numpy as np
from numpy.typing import NDArray

from studio.looper.features import Array

BINS_A_SECOND = 4000  # of the onset envelope
ENERGY_SECONDS = 0.003  # the width of smoothing: shorter than an attack, longer than most periods
EXPECTED_SECONDS = 0.015  # the standard deviation of an alignment by frames
FLOOR_DB = -50.0  # relative to the loudest bin; a rise below this level is not an onset


def onset_envelope(mono: Array, step: int) -> Array:
    """Rises of the level in dB from one bin of `step` frames to the next, (len(mono) // step,); bass counts less."""
    lively = np.diff(mono, prepend=mono[:1])
    count = len(mono) // step
    energy = (lively[: count * step].reshape(count, step) ** 2).mean(axis=1)
    bell = np.hanning(round(ENERGY_SECONDS * BINS_A_SECOND) + 2)
    smooth = np.convolve(energy, bell / bell.sum(), "same")
    loudest = float(smooth.max()) + 1e-12
    level = 10 * np.log10(np.maximum(smooth / loudest, 10 ** (FLOOR_DB / 10)))
    return np.maximum(0, np.diff(level, prepend=level[:1])).astype(np.float32)


def bin_frames(rate: int) -> int:
    """Frames in a bin of the onset envelope."""
    return max(1, round(rate / BINS_A_SECOND))


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


def onset_shift(here: Array, there: Array, rate: int) -> tuple[int, float]:
    """Compare the onsets of a short mono stretch with all places of a longer one.

    Returns (the frame of the longer stretch where they are most alike, the likeness from 0 to 1). If several places are
    about equally alike, it returns the place nearest to the middle.
    """
    step = bin_frames(rate)
    correlations = correlation(onset_envelope(here, step), onset_envelope(there, step))
    away = (np.arange(len(correlations)) - len(correlations) // 2) / BINS_A_SECOND / EXPECTED_SECONDS
    best = peak(correlations * np.exp(-0.5 * away**2))
    return round(best * step), float(correlations[round(best)])


def wave_shift(here: Array, there: Array) -> tuple[int, float]:
    """The same as onset_shift(), but by waveform. The likeness is -1 to 1."""
    correlations = correlation(np.diff(here), np.diff(there))
    best = int(correlations.argmax())
    return best, float(correlations[best])


def transient(mono: Array, rate: int) -> int:
    """The frame of the first rise in a stretch that is nearly as steep as its steepest rise."""
    step = bin_frames(rate)
    rises = np.convolve(onset_envelope(mono, step), np.ones(8), "same")  # 2 ms: one attack, not one bin
    return int(np.argmax(rises > 0.7 * rises.max())) * step
