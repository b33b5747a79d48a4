"""Sounds of the generated classes: sustained voices, chords of them, and short hits."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tests.pieces.band import CHORDS, Band, Mono

TURN = np.float32(2 * np.pi)
EDGE_SECONDS = 0.03  # neighbouring chords overlap by this much
TABLE = 2048  # samples of one period of a saw
CENTS = (-7.3, 0.0, 5.9)  # of the three sines of a detuned voice

Voice = Callable[[Band, float, int], Mono]  # takes a band, a pitch in Hz and a number of frames


def hertz(midi: float) -> float:
    """The frequency of a MIDI note."""
    return float(440 * 2 ** ((midi - 69) / 12))


def turns(band: Band, pitch: float, frames: int) -> Mono:
    """The phase of a steady pitch in turns, 0 to 1, from a random start; exact in a long sound, too."""
    place = np.arange(frames) * (pitch / band.rate) + band.random.random()
    place -= np.floor(place)
    return place.astype(np.float32)


def sine(band: Band, pitch: float, frames: int) -> Mono:
    """A pure tone."""
    return np.asarray(np.sin(TURN * turns(band, pitch, frames)))


def saw(band: Band, pitch: float, frames: int) -> Mono:
    """A saw with its first 120 partials, as far as they are below 0.4 of the rate."""
    numbers = np.arange(1, max(2, min(120, int(0.4 * band.rate / pitch))))
    period = np.sin(2 * np.pi * np.outer(np.arange(TABLE) / TABLE, numbers)) @ (0.6 / numbers)
    places = (turns(band, pitch, frames) * np.float32(TABLE)).astype(np.int32) % TABLE
    return np.asarray(period.astype(np.float32)[places])


def fm(band: Band, pitch: float, frames: int) -> Mono:
    """A sine whose phase another sine moves; the second one is a little out of tune, so the sound changes slowly."""
    modulator = turns(band, pitch * (2 + band.random.uniform(-0.004, 0.004)), frames)
    return np.asarray(np.sin(TURN * turns(band, pitch, frames) + np.float32(1.8) * np.sin(TURN * modulator)))


def detuned(band: Band, pitch: float, frames: int) -> Mono:
    """Three sines that beat against one another."""
    tones = [sine(band, pitch * 2 ** (cents / 1200), frames) for cents in CENTS]
    return np.asarray((tones[0] + tones[1] + tones[2]) * np.float32(0.4))


def random_chords(band: Band, voices: int = 4) -> NDArray[np.float64]:
    """Two or four chords, (chords, voices), in MIDI notes that are a little out of tune, as every piece's are."""
    count = int(band.random.choice([2, 4]))
    return np.array(CHORDS)[:count, :voices] + band.random.uniform(-3, 9) + band.random.normal(0, 0.02, (count, voices))


def sustain(band: Band, voice: Voice, edges: NDArray[np.float64], chords: NDArray[np.float64], gain: float) -> None:
    """Play one chord from each edge (seconds) to the next, in turn; chords are MIDI notes, (chords, voices)."""
    edge = round(EDGE_SECONDS * band.rate)
    rising = np.sin(np.linspace(0, np.pi / 2, edge, dtype=np.float32))
    for number, (start, stop) in enumerate(pairwise(edges)):
        frames = round((stop - start) * band.rate) + edge
        for pan, midi in zip((-0.4, 0.1, 0.5, -0.1), chords[number % len(chords)], strict=False):
            tone = voice(band, hertz(midi), frames)
            tone[:edge] *= rising
            tone[-edge:] *= rising[::-1]
            band.play(start, tone, gain, pan)


def click(band: Band) -> Mono:
    """Two milliseconds of a high tone in a random phase."""
    time = band.time(0.004)
    tone = np.sin(TURN * (2800 * time + np.float32(band.random.random())))
    return np.asarray(tone * np.exp(-1200 * time))


def tick(band: Band) -> Mono:
    """Noise that decays within 15 ms."""
    time = band.time(0.03)
    return np.asarray(band.random.standard_normal(len(time), np.float32) * np.exp(-200 * time) * np.float32(0.5))


def kick(band: Band) -> Mono:
    """A kick drum with the click of its beater."""
    drum = band.drum("kick")
    beater = tick(band)[: round(0.01 * band.rate)]
    drum[: len(beater)] += np.float32(0.4) * beater
    return drum


def pluck(band: Band) -> Mono:
    """A short high note, one of five."""
    return band.note(float(band.random.choice([72, 74, 76, 79, 81])), 0.35, 14.0)
