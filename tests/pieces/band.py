"""A piece of generated music, and a band that plays one."""

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
    """A piece: its name, rate in Hz, samples (frames, channels), and beats in seconds, (beats,), or None.

    bar is the number of beats in a bar.
    """

    name: str
    rate: int
    sound: Audio
    beats: NDArray[np.float64] | None = None
    bar: int = 4

    def save(self, folder: Path) -> Path:
        """Write it as 16-bit WAV into a folder; its path."""
        path = folder / f"{self.name}.wav"
        soundfile.write(path, self.sound, self.rate, subtype="PCM_16")
        return path


class Band:
    """Plays sounds into one recording; every hit has noise and phases of its own, as a player's would."""

    def __init__(self, seconds: float, rate: int, channels: int, seed: int | np.random.Generator) -> None:
        self.rate, self.random = rate, np.random.default_rng(seed)
        self.sound: Audio = np.zeros((round(seconds * rate), channels), np.float32)

    @property
    def seconds(self) -> float:
        """The length of the recording."""
        return len(self.sound) / self.rate

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
