"""The word for a seam, and how far its beats are off."""

from dataclasses import dataclass

import numpy as np

from studio.looper.beats import Pulse
from studio.looper.features import Features, loud_level
from studio.looper.pcm import Pcm
from studio.looper.seams import FAIR, WIDE, Seam, beat_shift, frames

GOOD = 0.7  # score
REPEATED = 0.8  # the correlation of the waveforms at both ends of an exact repeat
REPEAT_SECONDS = 2.0  # compared before and after
UNIFORM = 0.3  # the median cost of all pairs of a recording that sounds the same everywhere
SILENT_DB, SILENT_SECONDS = -30.0, 1.5  # relative to the loud level; a longer silence inside a loop is heard as a gap
USUAL_BEAT_ERROR = 0.015  # seconds


@dataclass(frozen=True)
class Hearing:
    """All that the words need: a recording, its features, its pulse, and the median cost of its pairs."""

    pcm: Pcm
    features: Features
    pulse: Pulse
    usual_cost: float


def quality(hearing: Hearing, seam: Seam) -> str:
    """good, fair or poor for music with beats; good, texture or no beat for other sound."""
    if not hearing.pulse.rhythmic:
        return even_quality(hearing, seam)
    if seam.score < FAIR:
        return "poor"
    return "good" if seam.score >= GOOD and longest_silence(hearing, seam) < SILENT_SECONDS else "fair"


def even_quality(hearing: Hearing, seam: Seam) -> str:
    """good if the recording repeats itself exactly; texture if it sounds the same everywhere; otherwise no beat."""
    if wave_likeness(hearing.pcm, seam) > REPEATED:
        return "good"
    return "texture" if seam.score >= GOOD or hearing.usual_cost <= UNIFORM else "no beat"


def wave_likeness(pcm: Pcm, seam: Seam) -> float:
    """The correlation of the sample differences around both ends of a seam, -1 to 1."""
    around = frames(pcm, REPEAT_SECONDS)
    before, after = min(around, seam.start), min(around, pcm.frames - seam.end)
    here, there = (np.diff(pcm.mono(place - before, place + after)) for place in (seam.start, seam.end))
    return float(here @ there) / float(np.sqrt((here @ here) * (there @ there)) + 1e-12)


def longest_silence(hearing: Hearing, seam: Seam) -> float:
    """The seconds of the longest silence inside a loop."""
    features, rate = hearing.features, hearing.pcm.rate
    first, last = (round(place / rate / features.seconds) for place in (seam.start, seam.end))
    loud = features.level[first:last] >= loud_level(features.level) * 10 ** (SILENT_DB / 10)
    edges = np.concatenate([[-1], np.flatnonzero(loud), [len(loud)]])
    return float(np.diff(edges).max() - 1) * features.seconds


def beat_error(hearing: Hearing, seam: Seam) -> float | None:
    """The milliseconds by which the first beat after the seam comes early or late; None without beats."""
    if not hearing.pulse.rhythmic:
        return None
    pcm, pulse = hearing.pcm, hearing.pulse
    beat = frames(pcm, float(pulse.times[pulse.nearest(seam.start / pcm.rate)]))
    shift, _ = beat_shift(pcm, beat, seam.lag, (WIDE, USUAL_BEAT_ERROR))
    return round(1000 * abs(shift) / pcm.rate, 2)
