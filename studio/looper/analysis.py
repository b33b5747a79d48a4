"""Analyses a recording: its pulse, its best seams, and the one to cut at."""

import math
from dataclasses import dataclass, replace
from typing import Any

from files.sound import Unusable
from studio.looper.bars import NO_BEATS, Bars, Length, beats_per_bar
from studio.looper.beats import Pulse, grid, pulse
from studio.looper.candidates import best_seams, softened_if_poor
from studio.looper.features import Features, extract
from studio.looper.pcm import Pcm
from studio.looper.progress import Report
from studio.looper.quality import SeamContext, beat_error, quality
from studio.looper.repeats import (
    UNREPEATED,
    Cuts,
    Repeat,
    Repeats,
    away_cost,
    cost_at,
    earliest_cut,
    find_cuts,
    find_repeats,
    nearest_repeat,
)
from studio.looper.seams import Seam, exact_seam, seams_of

EXTRACTED, COMPARED = 0.6, 0.75  # shares of the analysis that are done after these steps
SHORTEST_LOOP, USUAL_LOOP = 2.0, 20.0  # seconds; USUAL_LOOP is used unless the source or the loop is short
BODY_SHARE, DURATION_SHARE = 0.4, 0.5
MARGIN = 0.16  # seconds; an alignment moves a cut by less than this


@dataclass(frozen=True)
class Choice:
    """The seam to cut at: a candidate, 1 for the best; or near two times (seconds), or exactly there."""

    candidate: int = 1
    start: float | None = None
    end: float | None = None
    exact: bool = False


@dataclass(frozen=True)
class Analysis:
    """What was found in a recording: the seam to cut at, and the candidates, the best first, at most five.

    beats_per_bar: None without beats.
    """

    seam: Seam
    candidates: list[Seam]
    context: SeamContext
    beats_per_bar: int | None

    def record(self) -> dict[str, Any]:
        """The seam as a JSON object, with its candidates, and the beats in a bar."""
        listed = {seam: describe(self.context, seam) for seam in self.candidates}
        own = listed[self.seam] if self.seam in listed else describe(self.context, self.seam)
        return own | {"beats_per_bar": self.beats_per_bar, "candidates": list(listed.values())}

    def beat_frames(self) -> float | None:
        """The mean number of frames from one beat of the loop to the next. None without beats."""
        rate = self.context.pcm.rate
        tempo = self.context.pulse.tempo_of(self.seam.start / rate, self.seam.end / rate)
        return 60 * rate / tempo if tempo else None


@dataclass(frozen=True)
class Repetition:
    """The pulse of a recording, its cuts, the repeats at these cuts, and the beats in a bar, None without beats.

    lags: if the loop is ordered by bars, the only lags in cuts that fit.
    """

    beat: Pulse
    cuts: Cuts
    repeats: Repeats
    beats_per_bar: int | None
    lags: list[int] | None = None


def analyse(pcm: Pcm, length: Length, choice: Choice, report: Report) -> Analysis:
    """Find the seams of a loop, with repetitions no longer than length. Reports the share done (0 to 1).

    Raises Unusable if the choice is not possible in this recording, and for bars of a recording without beats.
    """
    if choice.end is not None and choice.end > pcm.seconds:
        raise Unusable(f"the loop cannot end at {choice.end:g} seconds: the track has {pcm.seconds:.3f} seconds")
    features = extract(pcm, lambda share: report(EXTRACTED * share))
    if isinstance(length, Bars):
        longest, there = math.inf, bars_repetition(pcm, features, length)
    else:
        longest, there = length, repetition(pcm, features, length)
    report(COMPARED)
    seams = best_seams(pcm, there.beat, there.repeats.pairs)
    if choice.candidate > len(seams):
        raise Unusable(
            f"there is no candidate {choice.candidate}: for a loop of {in_words(length)}, this track has {len(seams)}"
        )
    seam = ordered_seam(pcm, there, choice, longest) or seams[choice.candidate - 1]
    return Analysis(seam, seams, SeamContext(pcm, features, there.beat, there.repeats.usual_cost), there.beats_per_bar)


def repetition(pcm: Pcm, features: Features, duration: float) -> Repetition:
    """The repeats between beats; of an even grid if there are no beats, or no pair of them fits."""
    for beat in (pulse(pcm, features), grid(features)):
        cuts = find_cuts(features, beat)
        bar = beats_per_bar(cuts) if beat.rhythmic else None
        repeats = find_repeats(cuts, shortest_length(cuts, duration), duration - MARGIN)
        if repeats.pairs:
            return Repetition(beat, cuts, repeats, bar)
    start = earliest_cut(pcm.seconds)
    whole = Repeat(start, min(start + duration, pcm.seconds) - MARGIN, UNREPEATED)
    return Repetition(beat, cuts, Repeats([whole], UNREPEATED), bar)


def bars_repetition(pcm: Pcm, features: Features, bars: Bars) -> Repetition:
    """The repeats after whole bars, of which whole rounds have the length of the loop. Raises Unusable."""
    beat = pulse(pcm, features)
    if beat.tempo is None:
        raise Unusable(NO_BEATS)
    cuts = find_cuts(features, beat)
    bar = beats_per_bar(cuts)
    lags = [beats // cuts.step for beats in bars.rounds(bar) if beats % cuts.step == 0]
    even = replace(cuts, bar=1)  # all lags are whole bars, so none of them costs more
    for shortest in (shortest_length(cuts, bars.count * bar * 60 / beat.tempo), 0.0):
        repeats = find_repeats(even, shortest, math.inf, lags)
        if repeats.pairs:
            return Repetition(beat, even, repeats, bar, lags)
    raise Unusable(f"this track is too short for a loop of {in_words(bars)}: order fewer bars, or seconds")


def shortest_length(cuts: Cuts, duration: float) -> float:
    """The least length of a round, in seconds, for a loop of this duration."""
    shortest = max(SHORTEST_LOOP, min(USUAL_LOOP, BODY_SHARE * cuts.body_seconds))
    return min(shortest, DURATION_SHARE * duration)


def in_words(length: Length) -> str:
    """A length such as 1 second, 30 seconds or 8 bars."""
    number, unit = (length.count, "bar") if isinstance(length, Bars) else (length, "second")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def ordered_seam(pcm: Pcm, there: Repetition, choice: Choice, longest: float) -> Seam | None:
    """The seam near the start and the end that the order chose, no longer than longest (seconds); None without them.

    Raises Unusable if the loop is ordered by bars, and none of the seams near the start and the end fits.
    """
    beat, cuts = there.beat, there.cuts
    if choice.start is None or choice.end is None:
        return None
    if choice.exact:
        return exact_seam(pcm, beat, Repeat(choice.start, choice.end, cost_at(cuts, beat, choice.start, choice.end)))
    pair = nearest_repeat(cuts, choice.start, choice.end, longest, there.lags)
    if there.lags is not None and pair.cost == UNREPEATED:
        raise Unusable("no seam near start and end fits this number of bars: change start or end, or order seconds")
    nearest = min(seams_of(pcm, beat, pair), key=lambda seam: seam.cost + away_cost(pair, seam.start / pcm.rate))
    return softened_if_poor(pcm, nearest)


def describe(context: SeamContext, seam: Seam) -> dict[str, Any]:
    """A seam as a JSON object: start, end and crossfade in seconds, tempo, beats, score, quality, beat_error_ms."""
    rate, beat = context.pcm.rate, context.pulse
    count = beat.nearest(seam.end / rate) - beat.nearest(seam.start / rate) if beat.rhythmic else None
    tempo = beat.tempo_of(seam.start / rate, seam.end / rate)
    error = beat_error(context, seam)
    return {
        "start": seam.start / rate,
        "end": seam.end / rate,
        "crossfade": seam.crossfade / rate,
        "tempo": round(tempo, 2) if tempo and count else None,
        "beats": count,
        "score": seam.score,
        "quality": quality(context, seam, error),
        "beat_error_ms": error,
    }
