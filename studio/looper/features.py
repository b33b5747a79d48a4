"""Describes the sound of a recording over time: log-mel bands, chroma, level, onsets; a frame about every 11 ms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from studio.looper.pcm import Array, Pcm
from studio.looper.progress import Report

BANDS = 48
PITCHES = 12
HOP_SECONDS = 0.0116
ANALYSIS_RATE = 22_050  # Hz; sound above 11 kHz says little about where music repeats
LOWEST, HIGHEST = 40.0, 11_000.0  # Hz, of the mel bands
CHROMA_LOWEST, CHROMA_HIGHEST = 110.0, 4_000.0  # Hz
FLOOR = 1e-9  # power: -90 dBFS
KEPT_FRAMES = 131_072  # 25 minutes; longer recordings are stored more coarsely, so that memory stays bounded
BLOCK = 512  # frames
RISE = 2.0  # dB from one frame to the next: more than most sustained tones flutter, less than most attacks raise a band


@dataclass(frozen=True)
class Spectrum:
    """The analysis for one sample rate: how frames are cut, and the filters that turn a power spectrum into bands."""

    rate: int
    decimation: int
    hop: int
    window: Array
    mel: Array
    chroma: Array

    @property
    def seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop * self.decimation / self.rate


@dataclass(frozen=True)
class Features:
    """The sound of a recording: level (mean square) and onset strengths per frame, and tones per `pooled` frames.

    level, onsets and broad_onsets are (frames,). onsets: the mean rise of the bands in dB. broad_onsets: the share of
    the bands that rise by more than RISE dB, so that a strong rise in few bands is no strong onset. tones is
    (ceil(frames / pooled), 60): 48 bands in dB, then 12 pitch classes of length 1. Frame f is centred on f * seconds.
    """

    seconds: float
    pooled: int
    level: Array
    onsets: Array
    broad_onsets: Array
    tones: NDArray[np.float16]

    @property
    def duration(self) -> float:
        """Seconds of the whole recording."""
        return (len(self.level) - 1) * self.seconds

    def frames(self, times: NDArray[Any]) -> NDArray[np.int64]:
        """The frames at some times (seconds)."""
        return np.clip(np.rint(times / self.seconds).astype(np.int64), 0, len(self.level) - 1)

    def rows(self, times: NDArray[Any]) -> NDArray[np.int64]:
        """The rows of tones at some times (seconds)."""
        rows = np.rint(times / self.seconds / self.pooled).astype(np.int64)
        return np.clip(rows, 0, len(self.tones) - 1)


def spectrum(rate: int) -> Spectrum:
    """The analysis for a sample rate: windows of about 46 ms, a hop of about 11.6 ms."""
    decimation = max(1, rate // ANALYSIS_RATE)
    slower = rate / decimation
    hop = round(HOP_SECONDS * slower)
    size = 2 ** round(np.log2(4 * hop))
    window = np.hanning(size + 1)[:-1]
    window /= np.sqrt((window**2).sum() * size / 2)  # so that the spectrum sums to the mean square
    frequencies = np.fft.rfftfreq(size, 1 / slower)
    mel, chroma = mel_filters(frequencies), chroma_filters(frequencies)
    return Spectrum(rate, decimation, hop, np.asarray(window, np.float32), mel, chroma)


def mel_filters(frequencies: NDArray[Any]) -> Array:
    """Triangles evenly spaced in mel (2595 log10(1 + f/700)), (bins, 48); each sums to 1, and none is empty."""
    lowest, highest = (2595 * float(np.log10(1 + hertz / 700)) for hertz in (LOWEST, min(HIGHEST, frequencies[-1])))
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    wide = np.maximum(np.diff(edges), frequencies[1])
    rising = 1 - (edges[1:-1] - frequencies[:, None]) / wide[:-1]
    falling = 1 - (frequencies[:, None] - edges[1:-1]) / wide[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(filters / filters.sum(axis=0), np.float32)


def chroma_filters(frequencies: NDArray[Any]) -> Array:
    """Shares of each bin in the two nearest of 12 pitch classes, (bins, 12)."""
    in_range = (frequencies > CHROMA_LOWEST) & (frequencies < CHROMA_HIGHEST)
    pitch = np.where(in_range, 12 * np.log2(np.maximum(frequencies, 1) / 440), 0)
    away = np.abs((pitch[:, None] - np.arange(PITCHES) + 6) % 12 - 6)
    return np.asarray(np.maximum(0, 1 - away) * in_range[:, None], np.float32)


def extract(pcm: Pcm, report: Report) -> Features:
    """Compute the features of a whole recording, block by block. Reports the share that is done (0 to 1)."""
    shape = spectrum(pcm.rate)
    count = pcm.frames // (shape.hop * shape.decimation) + 1
    pooled = -(-count // KEPT_FRAMES)
    size = BLOCK // pooled * pooled if pooled < BLOCK else pooled
    level, onsets, broad_onsets = (np.zeros(count, np.float32) for _ in range(3))
    tones = np.zeros((-(-count // pooled), BANDS + PITCHES), np.float16)
    before = np.zeros((1, BANDS), np.float32)
    for first in range(0, count, size):
        last = min(first + size, count)
        level[first:last], bands, pitches = describe(shape, *frames_of(shape, pcm, first, last))
        rises = np.maximum(0, np.diff(bands, axis=0, prepend=before if first else bands[:1]))
        onsets[first:last] = rises.mean(axis=1)
        broad_onsets[first:last] = (rises > RISE).mean(axis=1)
        before = bands[-1:]
        block = pool(np.hstack([bands, pitches]), pooled)
        tones[first // pooled : first // pooled + len(block)] = block
        report(last / count)
    return Features(shape.seconds, pooled, level, onsets, broad_onsets, tones)


def frames_of(shape: Spectrum, pcm: Pcm, first: int, last: int) -> tuple[Array, Array]:
    """Frames first to last: windowed, (frames, window), and their mean squares, (frames,)."""
    size, step = len(shape.window), shape.decimation
    start = first * shape.hop - size // 2
    stop = (last - 1) * shape.hop - size // 2 + size
    mono = pcm.mono(start * step, stop * step)
    slower = sums(mono, step) / np.float32(step)
    cut = sliding_window_view(slower, size)[:: shape.hop]
    centred = cut - cut.mean(axis=1, keepdims=True)
    return centred * shape.window, np.einsum("ij,ij->i", centred, centred) / size


def sums(signal: Array, size: int) -> Array:
    """Sums of every `size` values, (len(signal) / size,).

    A product with ones, because sum() and add.reduceat() are many times slower for such short sums.
    """
    return np.asarray(signal.reshape(-1, size) @ np.ones(size, signal.dtype)) if size > 1 else signal


def describe(shape: Spectrum, windowed: Array, level: Array) -> tuple[Array, Array, Array]:
    """For some frames: mean square (frames,), bands in dB (frames, 48), pitch classes of length 1 (frames, 12)."""
    bins = np.fft.rfft(windowed)
    power = bins.real**2 + bins.imag**2
    bands = 10 * np.log10(power @ shape.mel + FLOOR)
    pitches = np.sqrt(power) @ shape.chroma
    pitches /= np.sqrt((pitches**2).sum(axis=1, keepdims=True)) + np.sqrt(FLOOR)
    return level, bands, pitches


def pool(rows: Array, size: int) -> Array:
    """Means of every `size` rows, (ceil(rows / size), columns)."""
    if size == 1:
        return rows
    starts = np.arange(0, len(rows), size)
    counts = np.diff(np.append(starts, len(rows)))
    return np.asarray(np.add.reduceat(rows, starts) / counts[:, None], np.float32)


def loud_level(level: Array) -> float:
    """The mean square of the loud parts: the 90th percentile."""
    return float(np.percentile(level, 90))


def smoothed(values: Array, size: int) -> Array:
    """Centred moving means over `size` values, fewer at the edges; same shape."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    low, high = np.maximum(0, places - size // 2), np.minimum(len(values), places + size - size // 2)
    return np.asarray((total[high] - total[low]) / (high - low), np.float32)
