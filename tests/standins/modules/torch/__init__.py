"""Stands in for torch: as much of it as the adapters in recipes/ and their generators use, on arrays of numpy.

The audio that tone() makes is decided by the last manual_seed(), as with the real one.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy

int16, float32 = numpy.int16, numpy.float32
_seed = 0


class Tensor:
    """An array with the methods of a tensor; audio is (channels, frames) or (batch, channels, frames)."""

    def __init__(self, array: Any) -> None:
        self.array = numpy.asarray(array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype.type

    def dim(self) -> int:
        return self.array.ndim

    def __getitem__(self, key: Any) -> "Tensor":
        return Tensor(self.array[key])

    def __len__(self) -> int:
        return len(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def to(self, target: Any) -> "Tensor":
        return self if isinstance(target, str) else Tensor(self.array.astype(target))

    def cpu(self) -> "Tensor":
        return self

    def abs(self) -> "Tensor":
        return Tensor(numpy.abs(self.array))

    def max(self) -> "Tensor":
        return Tensor(self.array.max())

    def div(self, other: Any) -> "Tensor":
        return Tensor(self.array / getattr(other, "array", other))

    def mul(self, other: float) -> "Tensor":
        return Tensor(self.array * other)

    def clamp(self, low: float, high: float) -> "Tensor":
        return Tensor(self.array.clip(low, high))


class cuda:
    """There is no GPU."""

    @staticmethod
    def is_available() -> bool:
        return False


def manual_seed(seed: int) -> None:
    """Decide what comes next. Raises RuntimeError for what is no 64-bit number, TypeError for what is no number."""
    global _seed
    if not isinstance(seed, int):
        raise TypeError(f"manual_seed expected a long, but got {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise RuntimeError("Overflow when unpacking long")
    _seed = seed


def no_grad() -> AbstractContextManager[None]:
    return nullcontext()


def tone(channels: int, frames: int, peak: float) -> Tensor:
    """Audio to test with, (channels, frames): a period of noise by the seed, again and again; torch has none such."""
    period = numpy.random.default_rng(abs(_seed)).uniform(-peak, peak, 100)
    wave = numpy.resize(period, frames).astype(int16 if peak > 1 else float32)
    return Tensor(numpy.tile(wave, (channels, 1)))
