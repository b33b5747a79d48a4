"""Songs with known beats, and music without beats: one function each. No two bars have the same samples."""

import numpy as np
from numpy.typing import NDArray

from tests.pieces.band import CHORDS, Band, Piece


def groove(name: str, intervals: NDArray[np.float64], rate: int, channels: int, intro: int = 0) -> Piece:
    """Music with these seconds between beats; the first `intro` beats have quiet chords only."""
    times = np.concatenate([[0.05], 0.05 + np.cumsum(intervals)])
    band = Band(times[-1], rate, channels, seed=len(name))
    for number, (when, seconds) in enumerate(zip(times[:-1], intervals, strict=True)):
        if number % 4 == 0:
            bar = float(np.sum(intervals[number : number + 4]))
            band.chord(number // 4, when, bar, 0.03 if number < intro else 0.07)
        if number >= intro:
            band.beat(number, when, seconds)
    return Piece(name, rate, band.sound * np.float32(0.8), times[:-1])


def steady() -> Piece:
    """40 seconds at 120 BPM, 44.1 kHz stereo."""
    return groove("steady", np.full(80, 0.5), 44_100, 2)


def odd_tempo() -> Piece:
    """41 seconds at 93.7 BPM, 48 kHz stereo: a beat is no whole number of samples."""
    return groove("odd-tempo", np.full(64, 60 / 93.7), 48_000, 2)


def faded() -> Piece:
    """4 bars of quiet chords, a body at 128 BPM, and 10 seconds of fade-out."""
    piece = groove("faded", np.full(112, 60 / 128), 44_100, 2, intro=16)
    fade = np.linspace(1, 0, 10 * piece.rate, dtype=np.float32)
    piece.sound[-len(fade) :] *= fade[:, None] ** 2
    return piece


def human() -> Piece:
    """44 seconds around 110 BPM, each beat up to 1 % too long or too short."""
    wander = 1 + np.random.default_rng(3).uniform(-0.01, 0.01, 80)
    return groove("human", 60 / 110 * wander, 44_100, 2)


def short() -> Piece:
    """10 seconds at 120 BPM, 22.05 kHz mono."""
    return groove("short", np.full(20, 0.5), 22_050, 1)


def ambient() -> Piece:
    """32 seconds of slow, overlapping chords without any onset."""
    band = Band(32, 44_100, 2, seed=5)
    swell = np.sin(np.linspace(0, np.pi, 8 * band.rate, dtype=np.float32)) ** 2
    for number in range(-1, 8):
        for voice, midi in enumerate(CHORDS[number % 2]):
            tone = band.note(midi + 12, 8, 0, 3) * swell
            early = max(0, -number * 4 * band.rate)
            band.play(max(0, number * 4), tone[early:], 0.1, (voice - 1.5) / 3)
    return Piece("ambient", band.rate, band.sound)


def noise() -> Piece:
    """20 seconds of white noise, mono."""
    sound = np.random.default_rng(7).normal(0, 0.15, (20 * 44_100, 1))
    return Piece("noise", 44_100, sound.astype(np.float32))


def wandering() -> Piece:
    """20 seconds of notes that never come back, each a chord of its own, with a crescendo."""
    random = np.random.default_rng(11)
    band = Band(20, 32_000, 1, seed=11)
    for when in np.cumsum(random.uniform(0.1, 0.9, 36)):
        for midi in random.uniform(30, 100, 3):
            band.play(min(float(when), 19.9), band.note(midi, random.uniform(0.1, 1.5), random.uniform(1, 9)), 0.15)
    return Piece("wandering", band.rate, band.sound)


RHYTHMIC = (steady, odd_tempo, faded, human, short)
EVEN = (ambient, noise)
