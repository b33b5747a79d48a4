"""A small procedural synthesiser for trying the service without a GPU. It is not a music model.

`python -m studio.synth` has options like those of DiffRhythm. Tempo, key and mood come from the prompt and the
metadata. Everything else comes from the seed, so the same job always sounds the same.
"""

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Audio = NDArray[np.float32]  # mono (frames,) or stereo (frames, 2), -1 to 1

RATE = 44_100  # Hz
BEATS = 4  # in a bar
MINOR_WORDS = re.compile(r"sad|melanchol|dark|dramatic|touching|heartfelt|nostalg|lonely|night|感人|груст", re.I)
SLOW_WORDS = re.compile(r"ambient|calm|relax|sleep|lo-?fi|ballad|chill|ethereal|эмбиент", re.I)
FAST_WORDS = re.compile(r"house|techno|energetic|upbeat|dance|fight|punk|drum and bass|chiptune", re.I)
QUIET_WORDS = re.compile(r"ambient|sleep|without drums|no drums|без ударных|piano|drone", re.I)
PROGRESSIONS = {
    "major": [(0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 0, 4), (3, 4, 2, 5)],
    "minor": [(0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (5, 6, 0, 0)],
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


@dataclass(frozen=True)
class Score:
    """A piece: its tempo in beats per minute, the MIDI note of its key, its scale, four chords, and drums or none."""

    tempo: float
    root: int
    scale: str
    chords: tuple[int, ...]
    drums: bool

    def note(self, degree: int, octave: int = 0) -> float:
        """The frequency in Hz of a degree of the scale (0 is the root; any integer)."""
        steps = SCALES[self.scale]
        midi = self.root + 12 * (octave + degree // 7) + steps[degree % 7]
        return float(440 * 2 ** ((midi - 69) / 12))


def compose(prompt: str, metadata: dict[str, Any], rng: np.random.Generator) -> Score:
    """The score for a prompt and its metadata."""
    words = " ".join([prompt, *(str(metadata.get(name, "")) for name in ("genre", "mood"))])
    scale = "minor" if MINOR_WORDS.search(words) else "major"
    chords = PROGRESSIONS[scale][rng.integers(4)]
    return Score(tempo(words, metadata), int(rng.integers(40, 52)), scale, chords, not QUIET_WORDS.search(words))


def tempo(words: str, metadata: dict[str, Any]) -> float:
    """Beats per minute, 40 to 240: from metadata.tempo, else from '128 bpm' in the words, else from the mood."""
    requested = metadata.get("tempo")
    in_words = re.search(r"(\d{2,3}) ?bpm", words, re.I)
    if isinstance(requested, int | float):
        return float(min(max(requested, 40), 240))
    if in_words:
        return float(min(max(int(in_words[1]), 40), 240))
    return 76.0 if SLOW_WORDS.search(words) else 124.0 if FAST_WORDS.search(words) else 100.0


def tone(frequency: float, seconds: float, decay: float, partials: tuple[float, ...]) -> Audio:
    """A note of harmonics with the given gains, a 5 ms attack and an exponential decay (1/s); mono."""
    time = np.arange(int(seconds * RATE), dtype=np.float32) / RATE
    sound = np.zeros_like(time)
    for number, gain in enumerate(partials, 1):
        if frequency * number < RATE / 2.2:
            sound += gain * np.sin(2 * np.pi * frequency * number * time, dtype=np.float32)
    sound *= np.exp(-decay * time) * np.minimum(1, time / 0.005)
    sound[-256:] *= np.linspace(1, 0, 256, dtype=np.float32)
    return sound.astype(np.float32)


def pad(frequency: float, seconds: float) -> Audio:
    """A soft, slightly detuned chord tone that swells and fades; mono."""
    time = np.arange(int(seconds * RATE), dtype=np.float32) / RATE
    sound = np.sin(2 * np.pi * frequency * time) + 0.5 * np.sin(2 * np.pi * frequency * 1.003 * time)
    swell = np.minimum(1, np.minimum(time, seconds - time) / min(0.4, seconds / 2))
    return (sound * swell).astype(np.float32)


def drum_kit(rng: np.random.Generator) -> dict[str, Audio]:
    """One hit each of kick, snare and hat; mono."""
    time = np.arange(int(0.3 * RATE), dtype=np.float32) / RATE
    noise = rng.standard_normal(time.size).astype(np.float32)
    kick = np.sin(2 * np.pi * (48 * time + 9 * (1 - np.exp(-30 * time)))) * np.exp(-11 * time)
    snare = (0.6 * noise + 0.5 * np.sin(2 * np.pi * 190 * time)) * np.exp(-22 * time)
    hat = np.diff(noise, prepend=np.float32(0)) * np.exp(-70 * time)
    hits = {"kick": kick, "snare": 0.7 * snare, "hat": 0.25 * hat}
    return {name: hit.astype(np.float32) for name, hit in hits.items()}


class Mixer:
    """A stereo track that sounds are added to."""

    def __init__(self, frames: int) -> None:
        self.track: Audio = np.zeros((frames, 2), dtype=np.float32)

    def add(self, sound: Audio, seconds: float, gain: float, pan: float = 0.0) -> None:
        """Add a mono sound at a time; pan is -1 (left) to 1 (right). Sound after the end of the track is cut off."""
        start = int(seconds * RATE)
        sound = sound[: max(0, len(self.track) - start)]
        self.track[start : start + len(sound), 0] += sound * (gain * min(1, 1 - pan))
        self.track[start : start + len(sound), 1] += sound * (gain * min(1, 1 + pan))


def perform(score: Score, seconds: float, rng: np.random.Generator) -> Audio:
    """The piece, (frames, 2): an intro of pads, the body, a fade at the end. Prints its progress."""
    mixer, kit = Mixer(round(seconds * RATE)), drum_kit(rng)
    bar = BEATS * 60 / score.tempo
    bars = int(np.ceil(seconds / bar))
    riff = rng.integers(0, 5, size=8)
    for number in range(bars):
        play_bar(mixer, score, number * bar, number, riff)
        if score.drums and 4 <= number < bars - 2:
            play_drums(mixer, kit, number * bar, bar / BEATS)
        print(f"generating audio {100 * (number + 1) // bars}%", flush=True)
    track = mixer.track / max(1e-9, float(np.abs(mixer.track).max())) * 0.89
    fade = min(len(track) // 4, 4 * RATE)
    track[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None] ** 2
    return track.astype(np.float32)


def play_bar(mixer: Mixer, score: Score, start: float, number: int, riff: NDArray[np.int64]) -> None:
    """The chord of a bar as a pad; after the intro bass on the beats and a plucked riff on the halves."""
    beat, chord = 60 / score.tempo, score.chords[number % 4]
    for voice, degree in enumerate((0, 2, 4)):
        mixer.add(pad(score.note(chord + degree, 1), BEATS * beat), start, 0.1, (voice - 1) * 0.5)
    if number < 2:
        return
    for half in range(2 * BEATS):
        when = start + half * beat / 2
        if half % 2 == 0:
            mixer.add(tone(score.note(chord, -1), beat, 3.0, (1, 0.5, 0.25, 0.12)), when, 0.25)
        if (half + number) % 3 != 2:
            degree = chord + int(riff[(half + number) % 8])
            mixer.add(tone(score.note(degree, 2), beat, 6.0, (1, 0.3, 0.1)), when, 0.12, 0.4 * (-1) ** half)


def play_drums(mixer: Mixer, kit: dict[str, Audio], start: float, beat: float) -> None:
    """Kick on one and three, snare on two and four, hats on the halves."""
    for half in range(2 * BEATS):
        mixer.add(kit["hat"], start + half * beat / 2, 0.5, 0.3)
        if half % 2 == 0:
            mixer.add(kit["kick" if half % 4 == 0 else "snare"], start + half * beat / 2, 0.8)


def main() -> None:
    """Write OUTPUT_DIR/output.wav: 16-bit stereo at 44.1 kHz, of exactly the requested length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ref-prompt", required=True)
    parser.add_argument("--audio-length", type=float, default=95, help="seconds")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--metadata", type=Path, help="a JSON file: genre, mood, tempo")
    parser.add_argument("--tempo", type=float, help="beats per minute, instead of that of the metadata")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    metadata = json.loads(options.metadata.read_text()) if options.metadata else {}
    if options.tempo:
        metadata["tempo"] = options.tempo
    rng = np.random.default_rng(options.seed)
    print("preparing prompt", flush=True)
    score = compose(options.ref_prompt, metadata, rng)
    track = perform(score, options.audio_length, rng)
    print("exporting", flush=True)
    soundfile.write(options.output_dir / "output.wav", track, RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
