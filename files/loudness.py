"""The loudness of sound: integrated, in LUFS, by ITU-R BS.1770-4 and EBU R 128. Computed block by block.

The filter of the standard (K-weighting) is applied in the frequency domain (overlap-save), because numpy has no
recursive filter. Its coefficients are computed for each sample rate from the analog filter, as libebur128 does.
"""

from math import log10, pi, tan

import numpy as np
from numpy.typing import NDArray

STEPS = 8  # steps of 100 ms in each transform; the first is the end of the transform before
STEPS_OF_BLOCK = 4  # a gating block has 400 ms, and begins 100 ms after the block before
OFFSET = -0.691  # LUFS; makes a full-scale sine of 997 Hz in one front channel -3.01 LUFS
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS; LU below the loudness of the blocks above the absolute gate
SURROUND = 1.41
# The weights of 4, 5, 6 and 8 channels in the order of WAV files. Otherwise, each channel has the weight 1.
WEIGHTS = {
    4: (1, 1, SURROUND, SURROUND),
    5: (1, 1, 1, SURROUND, SURROUND),
    6: (1, 1, 1, 0, SURROUND, SURROUND),
    8: (1, 1, 1, 0, 1, 1, SURROUND, SURROUND),
}
Stage = tuple[NDArray[np.float64], NDArray[np.float64]]


class LoudnessMeter:
    """Measures the loudness of sound that comes in blocks. It keeps 0.8 s of it, and a number for each 100 ms."""

    def __init__(self, rate: int, channels: int) -> None:
        """rate: in Hz, from 4000."""
        self._step = round(rate / 10)
        self._response = k_weighting(rate, STEPS * self._step)
        self._weights = WEIGHTS.get(channels, (1,) * channels)
        self._sound = np.zeros((channels, STEPS * self._step), np.float32)
        self._end = self._step  # the first step is the silence before the sound
        self._powers: list[NDArray[np.float64]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Add the next samples, (frames, channels)."""
        while len(block):
            room = self._sound.shape[1] - self._end
            part, block = block[:room], block[room:]
            self._sound[:, self._end : self._end + len(part)] = part.T
            self._end += len(part)
            if len(part) == room:
                self._powers.append(self._filter())
                self._sound[:, : self._step] = self._sound[:, -self._step :]
                self._end = self._step

    def integrated(self) -> float | None:
        """The loudness of all sound so far, in LUFS. None for silence, and for less than 400 ms.

        It is the loudness of all gating blocks above -70 LUFS and not 10 LU or more below their mean.
        """
        self._sound[:, self._end :] = 0
        whole = (self._end - self._step) // self._step
        powers = np.concatenate([*self._powers, self._filter()[:whole]])
        if len(powers) < STEPS_OF_BLOCK:
            return None
        sums = np.concatenate([[0.0], np.cumsum(powers)])
        blocks = (sums[STEPS_OF_BLOCK:] - sums[:-STEPS_OF_BLOCK]) / STEPS_OF_BLOCK
        audible = blocks[blocks > _power(ABSOLUTE_GATE)]
        if not len(audible):
            return None
        loud = audible[audible > audible.mean() * 10 ** (RELATIVE_GATE / 10)]
        return round(OFFSET + 10 * log10(loud.mean()), 2)

    def _filter(self) -> NDArray[np.float64]:
        """The weighted mean square of each step but the first, after the K-weighting."""
        powers = np.zeros(STEPS - 1)
        for samples, weight in zip(self._sound, self._weights, strict=True):
            filtered = np.fft.irfft(np.fft.rfft(samples) * self._response, len(samples))
            steps = filtered[self._step :].reshape(STEPS - 1, self._step)
            powers += weight * np.einsum("ij,ij->i", steps, steps) / self._step
        return powers


def k_weighting(rate: int, size: int) -> NDArray[np.complex64]:
    """The response of the K-weighting filter at the frequencies of a transform of this size.

    After 100 ms, the response of the filter to an impulse is 180 dB lower. So the end of a transform that is longer
    by a step disturbs only its first step.
    """
    delay = np.exp(-2j * pi * np.fft.rfftfreq(size))
    response = np.ones(len(delay), complex)
    for numerator, denominator in (shelf(rate), high_pass(rate)):
        response *= np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
    return response.astype(np.complex64)


def shelf(rate: int) -> Stage:
    """The first stage of K-weighting, for the head: +4 dB above about 1.7 kHz. (numerator, denominator)"""
    ratio, quality = tan(pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416 * ratio / quality
    numerator = np.array([high + middle + ratio**2, 2 * (ratio**2 - high), high - middle + ratio**2])
    return numerator / (1 + ratio / quality + ratio**2), _denominator(ratio, quality)


def high_pass(rate: int) -> Stage:
    """The second stage: less of the sound below about 100 Hz. (numerator, denominator)"""
    return np.array([1.0, -2.0, 1.0]), _denominator(tan(pi * 38.13547087602444 / rate), 0.5003270373238773)


def _denominator(ratio: float, quality: float) -> NDArray[np.float64]:
    scale = 1 + ratio / quality + ratio**2
    return np.array([1, 2 * (ratio**2 - 1) / scale, (1 - ratio / quality + ratio**2) / scale])


def _power(loudness: float) -> float:
    """The weighted mean square of sound of this loudness (LUFS)."""
    return float(10 ** ((loudness - OFFSET) / 10))
