"""Bars: how many beats they have, and which rounds make a whole number of them.

The beats of a recording say nothing about its bars. A bar has four beats, unless the music repeats more clearly after
three, five or seven. If the tempo is tracked twice as fast as people count, or half as fast, the bars are as short or
as long: so the analysis says tempo and beats_per_bar.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.looper.repeats import Cuts, distances

USUAL = 4  # beats in a bar
# How many times as clear as four beats other beats in a bar must be. In 4/4, kick and snare alternate: so the music
# also repeats a little after 6, 10 and 14 beats.
MUCH_CLEARER = {3: 1.0, 5: 2.0, 7: 2.0}
CLEAR = 0.1  # the least difference of the distances; below it, it may be chance
NO_BEATS = "bars need beats, and this track has no clear beats: order seconds instead"
MOST_BEATS = 48  # between the beats that are compared


@dataclass(frozen=True)
class Bars:
    """The length of a loop in bars."""

    count: int

    def rounds(self, beats_per_bar: int) -> list[int]:
        """The lengths in beats, the shortest first, that a round may have: whole bars, and the loop is whole rounds."""
        return [bars * beats_per_bar for bars in range(1, self.count + 1) if self.count % bars == 0]


Length = float | Bars  # of a loop: seconds or bars


def beats_per_bar(cuts: Cuts) -> int:
    """The number of beats in a bar of a recording that is cut at its beats: 4, or 3, 5 or 7 if these are clearer."""
    by_lag = median_distances(cuts)
    usual = clearness(by_lag, USUAL)
    others = {beats: clearness(by_lag, beats) / times for beats, times in MUCH_CLEARER.items()}
    best = max(others, key=lambda beats: others[beats])
    is_clear = others[best] > usual and others[best] * MUCH_CLEARER[best] >= CLEAR
    return best if is_clear and cuts.step == 1 else USUAL


def median_distances(cuts: Cuts) -> NDArray[np.float64]:
    """How different the music is after 1, 2, 3 … beats, from one beat to the next, (lags,)."""
    medians = []
    for lag in range(1, min(MOST_BEATS, len(cuts.times) // 2)):
        both = cuts.in_body[lag:] & cuts.in_body[:-lag]
        medians.append(float(np.median(np.sqrt(distances(cuts, lag)[both]))) if both.any() else np.nan)
    return np.array(medians)


def clearness(by_lag: NDArray[np.float64], beats: int) -> float:
    """How much more alike the music is after whole bars of so many beats than after other lags.

    Patterns of two bars count, too. 0 if the recording is too short to say.
    """
    return max(0.0, contrast(by_lag, beats), contrast(by_lag, 2 * beats))


def contrast(by_lag: NDArray[np.float64], period: int) -> float:
    """The mean distance after other lags less that after multiples of a period, of which there must be two."""
    whole = by_lag[: len(by_lag) // period * period].reshape(-1, period)
    if len(whole) < 2:
        return 0.0
    return float(np.nanmean(whole[:, :-1]) - np.nanmean(whole[:, -1]))
