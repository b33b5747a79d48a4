"""Loops of the generated classes: nothing to hear at the seam, and a word for the quality that is true."""

from collections.abc import Iterable

import numpy as np
import pytest

from tests.conftest import thorough
from tests.loop_quality import BEATLESS, LARGEST_FLUX, Quality, quality_of
from tests.loop_table import measured_classes
from tests.pieces import CLASSES

USUAL = 2  # pieces of a class; `make thorough` takes all
STEADY, DRIFTING = 0.5, 5.0  # milliseconds by which a beat at the seam may be early or late
LATEST = {name: STEADY for name, kind in CLASSES.items() if kind.group == "steady"} | {
    "jitter": 0.66,
    "accelerando": 0.57,
    "sinus": 1.0,
    "drift-clicks": DRIFTING,
    "drift-plucks": DRIFTING,
}
TRUE_SHARE, WRONG_SHARE = 0.95, 0.02
WHOLE_TABLE = 300  # pieces
OTHER_SEED, PADS_SEED = 1, 4
QUIET = [("a2", 0, 4), ("drift-plucks", 9, 7), ("drift-plucks", 0, 2), ("drift-clicks", 2, 101)]
SOFT = 2.0  # milliseconds


@pytest.mark.parametrize("name", CLASSES)
def test_there_is_nothing_to_hear_at_the_seam_of_any_class(name: str) -> None:
    results = [quality_of(name, index) for index in spread(name)]
    assert [result for result in results if not result.is_clean] == []
    assert [result for result in results if is_late(result, LATEST.get(name, np.inf))] == []
    assert CLASSES[name].group not in ("steady", "loose") or not any(result.word in BEATLESS for result in results)
    assert [result for result in results if is_wrong(CLASSES[name].group, result)] == []


@pytest.mark.parametrize(("name", "index", "seed"), QUIET)
def test_quiet_beats_under_loud_chords_are_found(name: str, index: int, seed: int) -> None:
    result = quality_of(name, index, seed)
    assert result.word not in BEATLESS and not is_late(result, LATEST[name]), result


@pytest.mark.parametrize(("index", "seed"), [(10, 4), (8, 0), (2, 102)])
def test_soft_clicks_are_heard_under_saws(index: int, seed: int) -> None:
    result = quality_of("drift-clicks", index, seed)
    assert result.word not in BEATLESS and not is_late(result, SOFT), result


@pytest.mark.parametrize("seed", [5, 2028])
def test_a_seam_is_on_the_beat_of_a_tempo_that_swings(seed: int) -> None:
    result = quality_of("drift-plucks", 4, seed)
    assert result.word not in BEATLESS and not is_late(result, SOFT), result


@pytest.mark.parametrize(("index", "seed"), [(4, 2027), (8, 0)])
def test_beats_that_were_taken_three_for_two_are_corrected(index: int, seed: int) -> None:
    result = quality_of("7/8", index, seed)
    assert result.word == "good" and result.has_whole_bars and not is_late(result, STEADY), result


@pytest.mark.parametrize("name", ["pads-1", "changing-pads-8"])
def test_pads_whose_swells_are_taken_for_beats_go_on_evenly(name: str) -> None:
    kind, _, index = name.rpartition("-")
    assert quality_of(kind, int(index), PADS_SEED).flux <= LARGEST_FLUX


def is_late(result: Quality, limit: float) -> bool:
    """True if a loop that has a beat misses it by more than the limit in milliseconds."""
    return result.word not in BEATLESS and result.beat is not None and result.beat > limit


def spread(name: str) -> range:
    """Numbers of pieces: all by `make thorough`, otherwise a few that lie far apart."""
    count = CLASSES[name].count
    return range(0, count, thorough(1, count // USUAL + 1))


@pytest.mark.soak
def test_the_word_for_the_quality_is_true_of_nearly_all_pieces() -> None:
    results = [(CLASSES[name].group, one) for name, some in measured_classes(CLASSES, OTHER_SEED) for one in some]
    good = [result for _, result in results if result.word == "good"]
    noise = [result for group, result in results if group == "noise"]
    assert len(results) >= WHOLE_TABLE
    assert share(result.sounds_good for result in good) >= TRUE_SHARE
    assert share(result.word == "good" for result in noise) <= WRONG_SHARE
    assert all(result.word == "good" for group, result in results if group == "exact")


def is_wrong(group: str, result: Quality) -> bool:
    """True if the word cannot be right for a piece of this group, or hides what can be heard."""
    if group == "exact":
        return result.word != "good"
    return result.word == "good" and (group == "noise" or not result.sounds_good)


def share(values: Iterable[bool]) -> float:
    """How many of the values are true, 0 to 1."""
    counted = list(values)
    return sum(counted) / len(counted)
