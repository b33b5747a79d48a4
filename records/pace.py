"""The pace of a generator: how long its next job takes, as far as the last ones say it.

A job takes a constant part, once or for each take, and a part that grows with the seconds of music. Which of these fits
best is tried on the last jobs. Medians keep single slow or fast jobs from changing the result much (Theil, 1950; Sen,
1968). The range is that in which half of the last jobs were, compared with their own estimates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median, quantiles
from typing import NamedTuple

FEWEST = 3  # finished jobs, for an estimate


@dataclass(frozen=True)
class Estimate:
    """How long something takes, in seconds: the median, and the range in which half of all cases are."""

    seconds: float
    low: float
    high: float

    def __add__(self, other: "Estimate") -> "Estimate":
        """Both, one after the other: slow jobs often follow slow jobs, so the ranges are added, too."""
        return Estimate(self.seconds + other.seconds, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> "Estimate":
        """So many times as long."""
        return Estimate(self.seconds * factor, self.low * factor, self.high * factor)

    def after(self, seconds: float) -> "Estimate":
        """What remains after these seconds."""
        return Estimate(*(max(0.0, part - seconds) for part in (self.seconds, self.low, self.high)))


def shown(estimate: Estimate | None) -> dict[str, float] | None:
    """The three numbers of an estimate as answers have them, with one decimal; None for none."""
    if estimate is None:
        return None
    return {name: round(getattr(estimate, name), 1) for name in ("seconds", "low", "high")}


NOW, NEVER = Estimate(0, 0, 0), Estimate(math.inf, math.inf, math.inf)


class Sample(NamedTuple):
    """A finished job: its takes, the seconds of music of each, and the seconds that the job took."""

    takes: int
    length: float
    seconds: float


@dataclass(frozen=True)
class Pace:
    """seconds = constant + rate * takes * length; the constant part counts once, or once for each take."""

    constant: float
    rate: float
    is_per_take: bool
    range: tuple[float, float, float] = (1, 1, 1)  # of what jobs took, as parts of what this says

    def of(self, takes: int, length: float) -> Estimate:
        """The estimate for a job with so many takes of so many seconds."""
        seconds = self.constant * (takes if self.is_per_take else 1) + self.rate * takes * length
        low, middle, high = self.range
        return Estimate(seconds * middle, seconds * low, seconds * high)

    def parts(self, samples: Sequence[Sample]) -> list[float]:
        """What each job took, as a part of what this says."""
        return [sample.seconds / self.of(sample.takes, sample.length).seconds for sample in samples]


def pace_of(samples: Sequence[Sample]) -> Pace | None:
    """The pace that fits these finished jobs best; None if there are too few."""
    real = [sample for sample in samples if sample.seconds > 0]
    if len(real) < FEWEST:
        return None
    paces = [_proportional(real), _with_constant(real, is_per_take=False), _with_constant(real, is_per_take=True)]
    best = min(paces, key=lambda pace: sum(abs(part - 1) for part in pace.parts(real)))
    low, middle, high = quantiles(best.parts(real), n=4, method="inclusive")
    return Pace(best.constant, best.rate, best.is_per_take, (low, middle, high))


def _proportional(samples: Sequence[Sample]) -> Pace:
    return Pace(0, median(sample.seconds / (sample.takes * sample.length) for sample in samples), is_per_take=False)


def _with_constant(samples: Sequence[Sample], is_per_take: bool) -> Pace:
    """A line through the jobs: the median of the slopes between any two, and the median of what is left."""
    units = [sample.takes if is_per_take else 1 for sample in samples]
    points = [
        (sample.takes * sample.length / unit, sample.seconds / unit)
        for sample, unit in zip(samples, units, strict=True)
    ]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0]]
    rate = max(0.0, median(slopes)) if slopes else 0.0
    constant = median(seconds - rate * music for music, seconds in points)
    return Pace(constant, rate, is_per_take) if constant > 0 else _proportional(samples)
