"""Drums of any length, also in files of hours."""

from pathlib import Path

import numpy as np
import soundfile

from tests.pieces.band import Audio, Band
from tests.pieces.rhythms import over_drums, steady

MINUTE = 60  # seconds


def drums(seconds: float, rate: int = 44_100, channels: int = 2) -> Audio:
    """Drums in 4/4 at 125.7 beats a minute, (frames, channels)."""
    band = Band(seconds, rate, channels, seed=4)
    over_drums(steady, band, 7)
    return band.sound * np.float32(0.6)


def write_long(path: Path, rate: int, minutes: int) -> None:
    """Write a long stereo WAV: a minute of drums again and again, every time with other noise."""
    minute, random = drums(MINUTE, rate), np.random.default_rng(5)
    with soundfile.SoundFile(path, "w", rate, 2, "PCM_16") as file:
        for _ in range(minutes):
            file.write(minute + random.standard_normal(minute.shape, np.float32) * np.float32(0.01))
