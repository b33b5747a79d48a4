"""The label for the quality of a seam, and the error of its beats."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from studio.looper.alignment import peak
from studio.looper.beats import CONFIDENT, Pulse
from studio.looper.features import Features, loud_level
from studio.looper.pcm import Array, Pcm, mixing
from studio.looper.seams import BEAT_REACH, FAIR, GOOD, Seam, beat_onsets, crossfaded, frames

REPEATED = 0.98  # the correlation of the waveforms at both ends of an exact repeat; sustained tones reach 0.97
REPEAT_SECONDS = 2.0  # compared before and after
UNIFORM = 0.3  # the median cost of all pairs of a recording that sounds the same everywhere
PEAK_SHARE = 0.1  # of the loudest moment: the least level that counts as loud in a recording that is mostly silent
CLEAR_BEAT, GOOD_BEAT = 0.5, 3.0  # the correlation of a beat with its repeat; milliseconds
MOST_FLUX = 1.15  # of a seam that is not heard, as a multiple of the flux of the music that it joins
MARGIN_SECONDS = 0.03  # listened to before and after a crossfade
WINDOWS = (0.0232, 0.0464)  # seconds, of spectral flux
QUIET, SMALLEST_FLUX = 2.5e-4, 0.01  # a sine at -60 dBFS has this magnitude per frame of a window; less flux is silence
SILENT_DB, SILENT_SECONDS = -30.0, 1.5  # relative to the loud level; a longer silence inside a loop is heard as a gap


@dataclass(frozen=True)
class SeamContext:
    """What the labels are based on: a recording, its features, its pulse, and the median cost of its pairs."""

    pcm: Pcm
    features: Features
    pulse: Pulse
    usual_cost: float


def quality(context: SeamContext, seam: Seam, error: float | None) -> str:
    """good, fair or poor for music with beats; good, texture or no beat for other sound."""
    if not context.pulse.rhythmic:
        return even_quality(context, seam)
    if seam.score < FAIR:
        return "poor"
    is_sure = context.pulse.confidence >= CONFIDENT or wave_likeness(context.pcm, seam) > REPEATED
    is_late = (error or 0.0) > GOOD_BEAT
    may_be_good = seam.score >= GOOD and is_sure and not is_late and not has_gap(context, seam)
    return "good" if may_be_good and flux_ratio(context.pcm, seam) <= MOST_FLUX else "fair"


def even_quality(context: SeamContext, seam: Seam) -> str:
    """good if the recording repeats itself exactly; texture if it sounds the same everywhere; otherwise no beat."""
    if wave_likeness(context.pcm, seam) > REPEATED and not has_gap(context, seam):
        return "good"
    return "texture" if seam.score >= GOOD or context.usual_cost <= UNIFORM else "no beat"


def wave_likeness(pcm: Pcm, seam: Seam) -> float:
    """The correlation of the sample differences around both ends of a seam, -1 to 1."""
    around = frames(pcm, REPEAT_SECONDS)
    before, after = min(around, seam.start), min(around, pcm.frames - seam.end)
    here, there = (np.diff(pcm.mono(place - before, place + after)) for place in (seam.start, seam.end))
    return float(here @ there) / float(np.sqrt((here @ here) * (there @ there)) + 1e-12)


def flux_ratio(pcm: Pcm, seam: Seam) -> float:
    """The spectral flux of the seam as a multiple of that of the recording at its two places, the larger one."""
    margin = frames(pcm, MARGIN_SECONDS)
    leaving, entering = (pcm.read(place - seam.crossfade - margin, place + margin) for place in (seam.end, seam.start))
    first, last = margin, margin + seam.crossfade
    mixed = crossfaded(leaving[first:last], entering[first:last], pcm.rate)
    sounds = np.concatenate([leaving[:first], mixed, entering[last:]]), leaving, entering
    ratios = []
    for seconds in WINDOWS:
        joined, *usual = (flux(sound @ mixing(pcm.channels), round(seconds * pcm.rate)) for sound in sounds)
        ratios.append(joined / max(SMALLEST_FLUX, *usual))
    return max(ratios)


def flux(mono: Array, size: int) -> float:
    """How much the spectrum rises from one moment to the next, on average, of log magnitudes down to -60 dBFS.

    size: the frames of a window.
    """
    hop = max(1, size // 8)
    windows = sliding_window_view(np.pad(mono, (0, max(0, size + hop - len(mono)))), size)[::hop]
    magnitudes = np.abs(np.fft.rfft(windows * np.hanning(size).astype(np.float32)))
    rises = np.diff(np.log1p(magnitudes / np.float32(QUIET * size)), axis=0)
    return float(np.maximum(0, rises).sum(axis=1).mean())


def has_gap(context: SeamContext, seam: Seam) -> bool:
    """True if a loop has a long silence inside, or over its seam."""
    level, seconds = context.features.level, context.features.seconds
    first, last = (round(place / context.pcm.rate / seconds) for place in (seam.start, seam.end))
    loud = level[first:last] >= max(loud_level(level), PEAK_SHARE * float(level.max())) * 10 ** (SILENT_DB / 10)
    places = np.flatnonzero(loud)
    if not len(places):
        return True
    silences = np.diff(np.append(places, places[0] + len(loud))) - 1  # the loop goes on at its start
    return bool(silences.max() * seconds >= SILENT_SECONDS)


def beat_error(context: SeamContext, seam: Seam) -> float | None:
    """The milliseconds by which the first beat after the seam comes early or late; None without a clear beat.

    Above 40 ms, it is the distance of the loop's length from a whole number of tracked beats.
    """
    if not context.pulse.rhythmic:
        return None
    pcm, pulse = context.pcm, context.pulse
    first, last = (pulse.nearest(place / pcm.rate) for place in (seam.start, seam.end))
    off = abs(float(pulse.times[last] - pulse.times[first]) - seam.lag / pcm.rate)
    if off > BEAT_REACH:
        return round(1000 * off, 2)
    onsets = beat_onsets(pcm, frames(pcm, float(pulse.times[first])), seam.lag)
    if onsets.correlations.max() < CLEAR_BEAT:
        return None
    return round(1000 * abs(peak(onsets.correlations) - onsets.reach) / onsets.bins_per_second, 2)
