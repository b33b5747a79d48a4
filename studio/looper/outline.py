"""The outline of the sound at a seam: what leaves and what enters, on one time axis with the cut in the middle."""

from typing import Any

import numpy as np

from studio.looper.pcm import Audio

AROUND = 2.0  # seconds before and after the cut
POINTS = 400  # of the whole axis; an even number, so that the cut is between two of them


def outline(start: float, end: float, leaving: Audio, entering: Audio, rate: int) -> dict[str, Any]:
    """The outlines of two sounds as a JSON object: start, end, seconds (to both sides), leaving and entering.

    leaving: the sound around `end`, entering: that around `start`, (frames, channels) as stretches() says. Both become
    POINTS pairs [lowest, highest] of samples from -1 to 1, over all channels.
    """
    return {
        "start": start,
        "end": end,
        "seconds": AROUND,
        "leaving": peaks(leaving, rate, end),
        "entering": peaks(entering, rate, start),
    }


def stretches(rate: int, start: float, end: float) -> list[tuple[int, int]]:
    """The frames (from, to) of the sound around the end, and of that around the start."""
    around = round(AROUND * rate)
    return [(max(0, place - around), place + around) for place in (round(end * rate), round(start * rate))]


def peaks(sound: Audio, rate: int, place: float) -> list[list[float]]:
    """The pairs of a sound around a place in seconds; silence where the recording has not begun, or has ended."""
    around = round(AROUND * rate)
    missing = max(0, around - round(place * rate))
    whole = np.zeros((2 * around, sound.shape[1]), np.float32)
    whole[missing : missing + len(sound)] = sound
    edges = np.linspace(0, len(whole), POINTS, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(whole.min(axis=1), edges), np.maximum.reduceat(whole.max(axis=1), edges)
    return [[round(float(lowest), 3), round(float(highest), 3)] for lowest, highest in zip(low, high, strict=True)]
