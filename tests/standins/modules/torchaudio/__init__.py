"""Stands in for torchaudio: load and save."""

from typing import Any

import soundfile
from torch import Tensor


def save(uri: str, src: Tensor, sample_rate: int, channels_first: bool = True, format: str | None = None) -> None:
    """Write (channels, frames)."""
    if src.dim() != 2:
        raise ValueError(f"Input Tensor has to be 2D, got {src.dim()}D")
    soundfile.write(uri, src.array.T if channels_first else src.array, sample_rate)


def load(uri: str) -> tuple[Any, int]:
    """The audio of a file, (channels, frames), and its rate."""
    audio, rate = soundfile.read(uri, dtype="float32", always_2d=True)
    return Tensor(audio.T), rate
