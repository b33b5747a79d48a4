"""Analyses a recording: its pulse, its best seams, and the one to cut at."""

from dataclasses import dataclass
from typing import Any

from files.sound import Unusable
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
    """What was found in a recording: the seam to cut at, and the candidates, the best first, at most five."""

    seam: Seam
    candidates: list[Seam]
    context: SeamContext

    def record(self) -> dict[str, Any]:
        """The seam as a JSON object, with its candidates."""
        return describe(self.context, self.seam) | {
            "candidates": [describe(self.context, seam) for seam in self.candidates]
        }


def analyse(pcm: Pcm, duration: float, choice: Choice, report: Report) -> Analysis:
    """Find the seams of a loop, with repetitions no longer than duration (seconds). Reports the share done (0 to 1).

    Raises Unusable if the choice is not possible in this recording.
    """
    if choice.end is not None and choice.end > pcm.seconds:
        raise Unusable(f"the loop cannot end at {choice.end:g} seconds: the track has {pcm.seconds:.3f} seconds")
    features = extract(pcm, lambda share: report(EXTRACTED * share))
    beat, cuts, repeats = repetition(pcm, features, duration)
    report(COMPARED)
    seams = best_seams(pcm, beat, repeats.pairs)
    if choice.candidate > len(seams):
        loop = f"a loop of {duration:g} seconds"
        raise Unusable(f"there is no candidate {choice.candidate}: for {loop}, this track has {len(seams)}")
    context = SeamContext(pcm, features, beat, repeats.usual_cost)
    seam = ordered_seam(pcm, beat, cuts, choice, duration) or seams[choice.candidate - 1]
    return Analysis(seam, seams, context)


def repetition(pcm: Pcm, features: Features, duration: float) -> tuple[Pulse, Cuts, Repeats]:
    """The pulse, the cuts and the repeats; of an even grid if there are no beats, or no pair of them fits."""
    for beat in (pulse(features), grid(features)):
        cuts = find_cuts(features, beat)
        shortest = max(SHORTEST_LOOP, min(USUAL_LOOP, BODY_SHARE * cuts.body_seconds))
        repeats = find_repeats(cuts, min(shortest, DURATION_SHARE * duration), duration - MARGIN)
        if repeats.pairs:
            return beat, cuts, repeats
    start = earliest_cut(pcm.seconds)
    whole = Repeat(start, min(start + duration, pcm.seconds) - MARGIN, UNREPEATED)
    return beat, cuts, Repeats([whole], UNREPEATED)


def ordered_seam(pcm: Pcm, beat: Pulse, cuts: Cuts, choice: Choice, longest: float) -> Seam | None:
    """The seam near the start and the end that the order chose, no longer than longest (seconds); None without them."""
    if choice.start is None or choice.end is None:
        return None
    if choice.exact:
        return exact_seam(pcm, beat, Repeat(choice.start, choice.end, cost_at(cuts, beat, choice.start, choice.end)))
    pair = nearest_repeat(cuts, choice.start, choice.end, longest)
    nearest = min(seams_of(pcm, beat, pair), key=lambda seam: seam.cost + away_cost(pair, seam.start / pcm.rate))
    return softened_if_poor(pcm, nearest)


def describe(context: SeamContext, seam: Seam) -> dict[str, Any]:
    """A seam as a JSON object: start, end and crossfade in seconds, tempo, beats, score, quality, beat_error_ms."""
    rate, beat = context.pcm.rate, context.pulse
    count = beat.nearest(seam.end / rate) - beat.nearest(seam.start / rate) if beat.rhythmic else None
    tempo = beat.tempo_of(seam.start / rate, seam.end / rate)
    return {
        "start": seam.start / rate,
        "end": seam.end / rate,
        "crossfade": seam.crossfade / rate,
        "tempo": round(tempo, 2) if tempo and count else None,
        "beats": count,
        "score": seam.score,
        "quality": quality(context, seam),
        "beat_error_ms": beat_error(context, seam),
    }
