"""Classes of melodies without a steady beat, exact repeats of them, and pieces that are silent in the middle."""

import numpy as np
from numpy.typing import NDArray

from tests.pieces.band import Band
from tests.pieces.rhythms import chords_and_hits, over_drums, steady
from tests.pieces.without_beats import drone

Times = NDArray[np.float64]

SCALE = (0, 2, 4, 7, 9, 12, 14, 16, 19, 21)  # half tones
SILENCE = (1.5, 12.0)  # seconds
FADE_SECONDS = 0.05


def rubato(band: Band, index: int) -> None:
    """A melody with random times between its notes; every third piece has two voices."""
    for _ in range(2 if index % 3 == 0 else 1):
        play_melody(band, band.seconds - 0.5)


def play_melody(band: Band, seconds: float) -> Times:
    """Notes at irregular times until this second; the times of the notes in seconds, (notes,)."""
    spacing = np.clip(band.random.lognormal(np.log(0.4), 0.5, round(8 * seconds)), 0.12, 1.6)
    times = 0.1 + np.concatenate([[0], np.cumsum(spacing)])
    times = times[times < seconds]
    lowest, decay = band.random.uniform(50, 64), band.random.uniform(2, 8)
    for when in times:
        note = band.note(lowest + band.random.choice(SCALE), band.random.uniform(0.4, 1.2), decay, 3)
        band.play(when, note, band.random.uniform(0.2, 0.5), band.random.uniform(-0.4, 0.4))
    return times


def repeated_rubato(band: Band, index: int) -> Times:
    """A melody of 6 to 12 seconds, again and again, sample for sample; the times of its notes."""
    frames = round(band.random.uniform(6, 12) * band.rate)
    phrase = Band(frames / band.rate, band.rate, band.sound.shape[1], band.random)
    times = play_melody(phrase, phrase.seconds - 0.2)
    rounds = -(-len(band.sound) // frames)
    band.sound[:] = np.tile(phrase.sound, (rounds, 1))[: len(band.sound)]
    return np.concatenate([times + number * phrase.seconds for number in range(rounds + 1)])


def half_silent(band: Band, index: int) -> Times | None:
    """Drums, hits over chords, a melody or a drone, with silence in the middle."""
    beats = None
    if index % 4 == 0:
        beats = over_drums(steady, band, index)
    elif index % 4 == 1:
        beats = chords_and_hits("FM", ("kick", "pluck"), band, index)
    else:
        (rubato, drone)[index % 2](band, index)
    silence_middle(band)
    return beats


def silence_middle(band: Band) -> None:
    """Fade the music out and in again, with 1.5 to 12 seconds of silence between."""
    seconds = band.random.uniform(*SILENCE)
    start = band.random.uniform(0.25, 0.6) * band.seconds
    places = np.arange(len(band.sound)) / band.rate
    outside = np.maximum(start - places, places - start - seconds)
    band.sound *= np.clip(outside / FADE_SECONDS, 0, 1).astype(np.float32)[:, None]
