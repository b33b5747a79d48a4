"""Estimates for jobs of other lengths and takes, from a few finished jobs."""

import random
from collections.abc import Callable
from statistics import median

import pytest

from records.pace import NEVER, NOW, Estimate, Sample, pace_of

Law = Callable[[int, float], float]
LAWS: dict[str, Law] = {
    "in proportion": lambda takes, length: 0.2 * takes * length,
    "a model is loaded once": lambda takes, length: 40 + 0.2 * takes * length,
    "a model is loaded for each take": lambda takes, length: takes * (30 + 0.1 * length),
    "the length does not matter": lambda takes, length: 25 * takes,
    "nothing matters": lambda takes, length: 60,
}
JOBS = [(1, 95), (2, 95), (1, 285), (4, 120), (1, 30), (3, 60), (2, 240)]


def made(law: Law, jobs: list[tuple[int, float]], noise: float = 0) -> list[Sample]:
    """Finished jobs of a generator, whose times differ from its law by up to this part."""
    chance = random.Random(7)
    return [Sample(takes, length, law(takes, length) * chance.uniform(1 - noise, 1 + noise)) for takes, length in jobs]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_another_length_and_other_takes_follow_the_law_of_the_generator(law: Law) -> None:
    pace = pace_of(made(law, JOBS))
    assert pace is not None
    for takes, length in ((1, 200), (8, 95), (5, 30)):
        assert pace.of(takes, length).seconds == pytest.approx(law(takes, length), rel=0.02)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_noise_stays_noise(law: Law) -> None:
    pace = pace_of(made(law, JOBS * 7, noise=0.2))
    assert pace is not None
    for takes, length in ((1, 200), (4, 95)):
        estimate = pace.of(takes, length)
        assert estimate.seconds == pytest.approx(law(takes, length), rel=0.15)
        assert estimate.low < estimate.seconds < estimate.high < 1.35 * estimate.low


def test_half_of_the_last_jobs_are_in_the_range() -> None:
    samples = made(LAWS["in proportion"], [(1, 100)] * 50, noise=0.5)
    pace = pace_of(samples)
    assert pace is not None
    range_ = pace.of(1, 100)
    assert sum(range_.low <= sample.seconds <= range_.high for sample in samples) in range(24, 29)
    assert range_.seconds == pytest.approx(median(sample.seconds for sample in samples))


def test_single_slow_jobs_change_little() -> None:
    samples = made(LAWS["in proportion"], JOBS * 2)
    samples[3] = samples[3]._replace(seconds=4000)
    samples[8] = samples[8]._replace(seconds=9000)
    pace = pace_of(samples)
    assert pace is not None and pace.of(1, 200).seconds == pytest.approx(40, rel=0.1)


def test_an_estimate_needs_three_jobs_that_took_time() -> None:
    samples = made(LAWS["in proportion"], JOBS)
    assert pace_of([]) is pace_of(samples[:2]) is pace_of([*samples[:2], Sample(1, 95, 0)]) is None
    assert pace_of(samples[:3]) is not None


def test_estimates_add_up_and_pass() -> None:
    estimate = Estimate(10, 8, 15)
    assert estimate + estimate == estimate.times(2) == Estimate(20, 16, 30)
    assert (estimate.after(9), estimate.after(99)) == (Estimate(1, 0, 6), NOW)
    assert estimate + NEVER == NEVER
