"""Classes of generated pieces: every class has a name, and makes any number of pieces, each from a seed."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tests.pieces import phrases, rhythms, without_beats
from tests.pieces.band import Band, Piece

RATES = (44_100, 44_100, 44_100, 32_000, 32_000, 48_000, 22_050)  # Hz; the first ones are the most usual
SECONDS = (30.0, 39.0)
PEAK = (0.3, 0.9)

Make = Callable[
    [Band, int], NDArray[np.float64] | None
]  # plays into an empty band; returns the beats (seconds) or None


@dataclass(frozen=True)
class PieceClass:
    """A class of pieces: what plays them, how many the whole table has, their group, and the beats in a bar.

    The groups: steady, loose (a tempo that is not steady, over drums), drifting (the same over chords), noise (nothing
    that can be called good), free (no beats), exact (the music repeats sample for sample, without bars).
    """

    make: Make
    count: int
    group: str
    bar: int = 4


CLASSES = {
    "a1": PieceClass(partial(rhythms.chords_and_hits, "tones", ("click",)), 12, "steady"),
    "a2": PieceClass(partial(rhythms.chords_and_hits, "saws", ("tick",)), 12, "steady"),
    "a3": PieceClass(partial(rhythms.chords_and_hits, "FM", ("kick", "pluck")), 12, "steady"),
    "a4": PieceClass(partial(rhythms.chords_and_hits, "detuned", ("pluck",)), 12, "steady"),
    "4/4": PieceClass(partial(rhythms.over_drums, rhythms.steady), 12, "steady"),
    "3/4": PieceClass(rhythms.waltz, 12, "steady", 3),
    "7/8": PieceClass(rhythms.seven_eighths, 12, "steady", 7),
    "swing": PieceClass(rhythms.swing, 12, "steady"),
    "jitter": PieceClass(partial(rhythms.over_drums, rhythms.jittered), 12, "loose"),
    "accelerando": PieceClass(partial(rhythms.over_drums, rhythms.accelerando), 12, "loose"),
    "sinus": PieceClass(partial(rhythms.over_drums, rhythms.sinus), 12, "loose"),
    "drift-clicks": PieceClass(partial(rhythms.over_chords, ("click", "tick")), 12, "drifting"),
    "drift-plucks": PieceClass(partial(rhythms.over_chords, ("pluck", "kick")), 12, "drifting"),
    "white": PieceClass(without_beats.white, 6, "noise"),
    "pink": PieceClass(without_beats.pink, 6, "noise"),
    "wind": PieceClass(without_beats.wind, 12, "noise"),
    "rain": PieceClass(without_beats.rain, 12, "noise"),
    "pads": PieceClass(without_beats.overlapping_pads, 12, "noise"),
    "changing-pads": PieceClass(without_beats.changing_pads, 12, "noise"),
    "drone": PieceClass(without_beats.drone, 12, "noise"),
    "speech": PieceClass(without_beats.speech, 16, "noise"),
    "half-silent": PieceClass(phrases.half_silent, 24, "noise"),
    "rubato": PieceClass(phrases.rubato, 24, "free"),
    "exact-rubato": PieceClass(phrases.repeated_rubato, 24, "exact", 1),
}


def generate(name: str, index: int, seed: int = 0) -> Piece:
    """Piece number `index` of a class, 30 to 39 seconds long. The same arguments make the same piece."""
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
    channels = int(random.integers(1, 3))
    band = Band(random.uniform(*SECONDS), int(random.choice(RATES)), channels, random)
    beats = CLASSES[name].make(band, index)
    loudest = float(np.abs(band.sound).max())
    band.sound *= np.float32(random.uniform(*PEAK) / loudest)
    return Piece(f"{name.replace('/', '-')}-{index}", band.rate, band.sound, beats, CLASSES[name].bar)
