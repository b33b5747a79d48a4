"""Sound to test with: noise, as samples and as a file."""

import io

import numpy as np
import soundfile

RATE = 8000


def noise(seconds: float = 1.0, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """Quiet noise, the same each time; (frames, channels)."""
    return np.random.default_rng(7).normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)


def wav_bytes(seconds: float = 1.0, kind: str = "WAV", rate: int = RATE) -> bytes:
    """A sound file in memory."""
    file = io.BytesIO()
    soundfile.write(file, noise(seconds, rate), rate, format=kind)
    return file.getvalue()
