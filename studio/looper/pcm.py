"""Decodes a recording into a temporary file of 16-bit frames, which can be read at any place, exactly and fast."""

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from files.sound import Source, Unusable
from studio.looper.progress import Report

Array = NDArray[np.float32]
Audio = Array  # (frames, channels), -1 to 1

FULL_SCALE = 32_768  # the scale of libsndfile, so that 16-bit samples stay unchanged
SAMPLE_BYTES = 2
BLOCK = 8192  # frames; at most this much sound is lost before a damaged part of a file
MIXED = 131_072  # frames; of many channels, only so much is in memory
SHORTEST = 3.0  # seconds
SILENT = 8 / FULL_SCALE  # peak to peak: -72 dBFS


class Pcm:
    """The decoded recording; a context manager. rate in Hz, channels, and the real number of frames."""

    def __init__(self, path: Path, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self.frames = path.stat().st_size // (SAMPLE_BYTES * channels)
        self.seconds = self.frames / rate
        self._weights = mixing(channels)
        self._file = path.open("rb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file. The caller of decode() removes it."""
        self._file.close()

    def read(self, start: int, stop: int) -> Audio:
        """Frames start to stop, (stop - start, channels); silence where the recording has none."""
        first, last = max(0, start), min(stop, self.frames)
        if last <= first:
            return np.zeros((stop - start, self.channels), np.float32)
        self._file.seek(first * self.channels * SAMPLE_BYTES)
        raw = np.fromfile(self._file, np.int16, (last - first) * self.channels).reshape(-1, self.channels)
        sound = np.multiply(raw, np.float32(1 / FULL_SCALE), dtype=np.float32)
        if (first, last) == (start, stop):
            return sound
        return np.pad(sound, ((first - start, stop - last), (0, 0)))

    def mono(self, start: int, stop: int) -> Array:
        """The same frames, mixed to one channel, (stop - start,)."""
        mixed = np.empty(stop - start, np.float32)
        for first in range(start, stop, MIXED):
            last = min(first + MIXED, stop)
            mixed[first - start : last - start] = self.read(first, last) @ self._weights
        return mixed


def mixing(channels: int) -> Array:
    """Weights of a mix to mono, (channels,). They are unequal, so that inverted channels do not cancel out."""
    weights = np.linspace(1.0, 0.6, channels) if channels > 1 else np.ones(1)
    return np.asarray(weights / weights.sum(), np.float32)


def sixteen_bits(sound: Audio) -> Audio:
    """Samples rounded to whole steps of 16 bits, -32768 to 32767; same shape."""
    return np.minimum(np.rint(sound * FULL_SCALE), FULL_SCALE - 1)


def decode(source: Source, path: Path, name: str, report: Report) -> Pcm:
    """Decode to a file at path, and report the share done (0 to 1).

    Raises Unusable with a sentence if the recording is too short for a loop, or silent.
    """
    low, high = np.full(source.channels, np.inf), np.full(source.channels, -np.inf)
    done = 0
    with path.open("wb") as file:
        for block in source.blocks(BLOCK):
            sixteen_bits(block).astype(np.int16).tofile(file)
            low = np.minimum(low, [side.min() for side in block.T])  # min(axis=0) takes 20 times as long
            high = np.maximum(high, [side.max() for side in block.T])
            done += len(block)
            report(min(1.0, done / max(1, source.expected)))
    if done < SHORTEST * source.rate:
        seconds = int(10 * done / source.rate) / 10  # rounded down: rounded up, it could look long enough
        raise Unusable(f"{name} is too short to loop: it has {seconds:.1f} seconds, at least {SHORTEST:g} are needed")
    if not (high - low > SILENT).any():
        raise Unusable(f"{name} is silent")
    return Pcm(path, source.rate, source.channels)
