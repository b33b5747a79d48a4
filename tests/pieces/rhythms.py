"""Classes of pieces with beats. Each function plays into an empty band and returns the beats in seconds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.pieces.band import Band
from tests.pieces.timbres import Voice, click, detuned, fm, kick, pluck, random_chords, saw, sine, sustain, tick

Beats = NDArray[np.float64]

# Beats a minute. At no usual sample rate does a beat have a whole number of samples.
TEMPI = (61.3, 67.9, 75.1, 83.3, 92.3, 101.9, 113.3, 125.7, 138.9, 153.7, 169.9, 187.9)
FIRST = 0.05  # seconds before the first beat
BAR = 4
VOICES = {"tones": sine, "saws": saw, "FM": fm, "detuned": detuned}
HITS = {"click": click, "tick": tick, "kick": kick, "pluck": pluck}
JITTER = 0.008  # seconds
TEMPO_CHANGE = 0.02
LONG_BARS, SHORT_BARS = (2, 2, 3), (2, 3, 2)  # eighths in the groups of a bar of 7/8


def steady(band: Band, index: int) -> Beats:
    """Beats in one of the twelve tempi."""
    return np.arange(FIRST, band.seconds - 0.3, 60 / TEMPI[index % len(TEMPI)])


def chords_and_hits(voice: str, hits: tuple[str, ...], band: Band, index: int) -> Beats:
    """A hit on every beat of one of the twelve tempi, over sustained chords."""
    beats = steady(band, index)
    play_chords(band, VOICES[voice], beats, whole=index % 2 == 0 and voice in ("tones", "detuned"))
    play_hits(band, hits[index // len(hits) % len(hits)], beats)
    return beats


def play_chords(band: Band, voice: Voice, beats: Beats, whole: bool = False) -> None:
    """A chord in every bar; or one chord through the whole piece."""
    edges = np.array([0.0, band.seconds]) if whole else np.append(beats[::BAR], band.seconds)
    sustain(band, voice, edges, random_chords(band), float(band.random.uniform(0.08, 0.16)))


def play_hits(band: Band, kind: str, beats: Beats) -> None:
    """A hit on every beat, of slightly different strength, the first of a bar stronger."""
    gain = band.random.uniform(0.3, 0.6)
    for number, when in enumerate(beats):
        accent = 1.0 if number % BAR == 0 else 0.75
        band.play(float(when), HITS[kind](band), gain * accent * band.random.uniform(0.9, 1.1))


def play_drums(band: Band, beats: Beats, bar: tuple[str, ...], between: float = 0.5) -> None:
    """Drums and bass on every beat, hats also between beats, one chord a bar. bar: a drum for each of its beats."""
    chords = random_chords(band, 3)
    sustain(band, sine, np.append(beats[:: len(bar)], band.seconds), chords + 12, 0.05)
    spacing = np.append(np.diff(beats), np.diff(beats)[-1])
    for number, (when, seconds) in enumerate(zip(beats, spacing, strict=True)):
        bass = chords[number // len(bar) % len(chords), 0] - 12
        band.play(when, band.drum(bar[number % len(bar)]), 0.45)
        band.play(when + between * seconds, band.drum("hat"), 0.15, 0.3)
        band.play(when, band.note(bass, min(0.5, seconds), 3.0), 0.18)


def moved(beats: Beats, tempo: Callable[[Beats], Beats]) -> Beats:
    """Steady beats with another tempo; tempo takes the share of the piece, 0 to 1, and returns the relative tempo."""
    spacing = np.diff(beats) / tempo(np.linspace(0, 1, len(beats) - 1))
    return np.append(beats[0], beats[0] + np.cumsum(spacing))


def waltz(band: Band, index: int) -> Beats:
    """Drums in 3/4."""
    beats = steady(band, index)
    play_drums(band, beats, ("kick", "hat", "snare"))
    return beats


def seven_eighths(band: Band, index: int) -> Beats:
    """Drums in 7/8; the beats are the eighths. The groups of a bar are 2 + 2 + 3 or 2 + 3 + 2."""
    groups = LONG_BARS if index % 2 else SHORT_BARS
    bar = [drum for group in groups for drum in ("snare", *["hat"] * (group - 1))]
    beats = np.arange(FIRST, band.seconds - 0.3, 60 / TEMPI[index % len(TEMPI)] / (2 if index % 12 < 9 else 1))
    play_drums(band, beats, ("kick", *bar[1:]))
    return beats


def swing(band: Band, index: int) -> Beats:
    """Drums in 4/4; the hats between beats come late, at two thirds."""
    beats = steady(band, index)
    play_drums(band, beats, ("kick", "snare", "kick", "snare"), between=float(band.random.uniform(0.6, 0.68)))
    return beats


def jittered(band: Band, index: int) -> Beats:
    """Steady beats, each moved by a normal deviate of 8 ms, at most 16."""
    beats = steady(band, index)
    return beats + np.clip(band.random.normal(0, JITTER, len(beats)), -2 * JITTER, 2 * JITTER)


def accelerando(band: Band, index: int) -> Beats:
    """Beats whose tempo rises by 2 % from the beginning to the end."""
    return moved(steady(band, index), lambda share: 1 + TEMPO_CHANGE * (share - 0.5))


def sinus(band: Band, index: int) -> Beats:
    """Beats whose tempo swings by 2 % to both sides, once in 8 to 20 seconds."""
    beats, swings = steady(band, index), band.seconds / band.random.uniform(8, 20)
    phase = band.random.uniform(0, 2 * np.pi)
    return moved(beats, lambda share: 1 + TEMPO_CHANGE * np.sin(2 * np.pi * swings * share + phase))


def over_drums(times: Callable[[Band, int], Beats], band: Band, index: int) -> Beats:
    """Drums in 4/4 on these beats."""
    beats = times(band, index)
    play_drums(band, beats, ("kick", "snare", "kick", "snare"))
    return beats


def over_chords(hits: tuple[str, str], band: Band, index: int) -> Beats:
    """Hits over sustained chords; the tempo swings or rises by 2 %."""
    beats = (sinus, accelerando)[index // 2 % 2](band, index)
    voice = list(VOICES.values())[band.random.integers(len(VOICES))]
    play_chords(band, voice, beats, whole=bool(voice is sine and band.random.random() < 0.5))
    play_hits(band, hits[index % 2], beats)
    return beats
