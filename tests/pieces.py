"""Generated pieces of music with known beats, to measure loops with. No two bars have the same samples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Audio = NDArray[np.float32]  # (frames, channels), -1 to 1
Mono = NDArray[np.float32]  # (frames,)

CHORDS = ((48, 55, 60, 64), (45, 52, 57, 60), (41, 53, 57, 60), (43, 50, 55, 59))  # MIDI notes, one a bar
RIFF = (0, 2, 3, 1, 2, 0, 1, 3)


@dataclass(frozen=True)
class Piece:
    """A piece: its name, rate in Hz, samples (frames, channels), and beats in seconds, (beats,), or None."""

    name: str
    rate: int
    sound: Audio
    beats: NDArray[np.float64] | None = None

    def save(self, folder: Path) -> Path:
        """Write it as 16-bit WAV into a folder; its path."""
        path = folder / f"{self.name}.wav"
        soundfile.write(path, self.sound, self.rate, subtype="PCM_16")
        return path


class Band:
    """Plays sounds into one recording; every hit has noise and phases of its own, as a player's would."""

    def __init__(self, seconds: float, rate: int, channels: int, seed: int) -> None:
        self.rate, self.random = rate, np.random.default_rng(seed)
        self.sound: Audio = np.zeros((round(seconds * rate), channels), np.float32)

    def play(self, when: float, sound: Mono, gain: float, pan: float = 0.0) -> None:
        """Mix a mono sound in from a time in seconds; pan is -1 (left) to 1 (right)."""
        start = round(when * self.rate)
        for side, loud in enumerate([1 - pan, 1 + pan][: self.sound.shape[1]]):
            place = self.sound[start : start + len(sound), side]
            place += sound[: len(place)] * np.float32(min(1, loud) * gain)

    def time(self, seconds: float) -> Mono:
        """The seconds of each frame of so many, (frames,)."""
        return np.arange(round(seconds * self.rate), dtype=np.float32) / np.float32(self.rate)

    def note(self, midi: float, seconds: float, decay: float, partials: int = 4) -> Mono:
        """A tone with a 4 ms attack that decays (1/s), its partials in random phases."""
        time = self.time(seconds)
        pitch = 440 * 2 ** ((midi - 69) / 12)
        numbers = [number for number in range(1, partials + 1) if number * pitch < self.rate / 2.2]
        phases = self.random.uniform(0, 2 * np.pi, partials).astype(np.float32)
        tone = sum(np.sin(float(2 * np.pi * pitch * number) * time + phases[number - 1]) / number for number in numbers)
        release = np.minimum(1, (seconds - time) / 0.02)
        return np.asarray(tone * np.exp(-decay * time) * np.minimum(1, time / 0.004) * release, np.float32)

    def drum(self, kind: str) -> Mono:
        """A kick, a snare or a hat."""
        time = self.time(0.25)
        noise = self.random.standard_normal(len(time), np.float32) * np.float32(self.random.uniform(0.9, 1.1))
        if kind == "kick":
            return np.asarray(
                np.sin(np.float32(2 * np.pi) * (45 * time + 6 * (1 - np.exp(-35 * time)))) * np.exp(-12 * time)
            )
        if kind == "snare":
            return np.asarray((0.5 * noise + 0.5 * np.sin(float(2 * np.pi * 185) * time)) * np.exp(-20 * time))
        return np.asarray(np.diff(noise, prepend=np.float32(0)) * np.exp(-80 * time))

    def chord(self, bar: int, when: float, seconds: float, gain: float) -> None:
        """The chord of a bar, sustained."""
        for voice, midi in enumerate(CHORDS[bar % 4]):
            self.play(when, self.note(midi, seconds, 0.5), gain, (voice - 1.5) / 3)

    def beat(self, number: int, when: float, seconds: float) -> None:
        """Drums, bass and riff of one beat."""
        chord = CHORDS[number // 4 % 4]
        self.play(when, self.drum("kick" if number % 2 == 0 else "snare"), 0.45)
        self.play(when, self.drum("hat"), 0.1, 0.3)
        self.play(when + seconds / 2, self.drum("hat"), 0.12, 0.3)
        self.play(when, self.note(chord[0] - 12, seconds, 3.0), 0.15)
        for half in range(2):
            midi = chord[RIFF[(2 * number + half) % 8]] + 12
            self.play(when + half * seconds / 2, self.note(midi, seconds, 6.0), 0.08, -0.4)


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
