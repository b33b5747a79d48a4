"""Ranks the seams of a recording: the best first, all clearly different from each other."""

from studio.looper.beats import Pulse
from studio.looper.pcm import Pcm
from studio.looper.repeats import NEAR_BEST, Repeat
from studio.looper.seams import FAIR, GOOD, LONG_CROSSFADE, Seam, lengthened, seams_of

CANDIDATES = 5
MOST_PAIRS = 6  # to align; each takes about 20 ms
APART_SECONDS = 4.0  # of two starts with the same length of a loop
SAME_LENGTH = 0.25  # seconds


def best_seams(pcm: Pcm, pulse: Pulse, pairs: list[Repeat]) -> list[Seam]:
    """At most CANDIDATES seams. The first is the longest of those near the best cost; the others are sorted by cost.

    A seam with a good score is preferred to a longer one without.
    pairs: at least one. Those with a cost near the best come first, the longest first; then come the others, the best
    first. A seam never costs less than its pair. So the search ends at a pair that costs clearly more than the best
    seam, or after MOST_PAIRS, once there are enough candidates.
    """
    seams: list[Seam] = []
    for number, pair in enumerate(pairs):
        is_enough = number >= MOST_PAIRS or (seams and pair.cost > best_cost(seams) + NEAR_BEST)
        if is_enough and len(different_seams(seams, pcm.rate)) == CANDIDATES:
            break
        beats = seams_of(pcm, pulse, pair)
        seams.append(next(beats))
        if pair.cost <= best_cost(seams):
            seams.extend(beats)
    seams.sort(key=lambda seam: seam.cost)
    near = [seam for seam in seams if seam.cost <= seams[0].cost + NEAR_BEST]
    best = max(near, key=lambda seam: (seam.score >= GOOD, seam.lag // pcm.rate, -seam.cost))
    return [softened_if_poor(pcm, seam) for seam in different_seams([best, *seams], pcm.rate)]


def best_cost(seams: list[Seam]) -> float:
    """The lowest cost of some seams."""
    return min(seam.cost for seam in seams)


def different_seams(seams: list[Seam], rate: int) -> list[Seam]:
    """The first CANDIDATES seams that differ in length from all before them, or are cut at another place."""
    chosen: list[Seam] = []
    for seam in seams:
        if len(chosen) < CANDIDATES and not any(alike(seam, other, rate) for other in chosen):
            chosen.append(seam)
    return chosen


def alike(seam: Seam, other: Seam, rate: int) -> bool:
    """True if two seams make nearly the same loop."""
    return abs(seam.lag - other.lag) < SAME_LENGTH * rate and abs(seam.start - other.start) < APART_SECONDS * rate


def softened_if_poor(pcm: Pcm, seam: Seam) -> Seam:
    """The same seam; if it is poor, with a long crossfade."""
    return seam if seam.score >= FAIR else lengthened(pcm, seam, LONG_CROSSFADE)
