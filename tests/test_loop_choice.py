"""The seam of a loop that somebody chose: a candidate, the seam nearest to two times, or exactly these times."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.listening import step_ratio
from tests.loop_quality import LARGEST_STEP
from tests.pieces import short
from tests.pieces.songs import ambient, odd_tempo, steady
from tests.test_looper import join, looped, run

LOOP_SECONDS = 60.0


def seams_of(analysis: dict[str, Any]) -> list[dict[str, Any]]:
    """The candidates, and the seam of the loop itself without them."""
    return [*analysis["candidates"], {name: analysis[name] for name in analysis["candidates"][0]}]


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The analysis of a piece in an odd tempo, without a choice."""
    return looped(odd_tempo(), tmp_path_factory.mktemp("best"), LOOP_SECONDS)[0]


def test_candidates_are_up_to_five_seams_apart_and_the_first_is_the_loop(best: dict[str, Any]) -> None:
    *candidates, chosen = seams_of(best)
    assert len(candidates) == 5 and candidates[0] == chosen
    for one, other in combinations(candidates, 2):
        lengths = abs((one["end"] - one["start"]) - (other["end"] - other["start"]))
        assert lengths >= 0.25 or abs(one["start"] - other["start"]) >= 4
    assert all(0 <= one["beat_error_ms"] <= 1 and one["quality"] in ("good", "fair") for one in candidates)
    assert [one["score"] for one in candidates[1:]] == sorted((one["score"] for one in candidates[1:]), reverse=True)


@pytest.mark.parametrize("rank", [2, 5])
def test_a_candidate_is_rendered_as_it_was_listed(rank: int, best: dict[str, Any], tmp_path: Path) -> None:
    analysis, made = looped(odd_tempo(), tmp_path, LOOP_SECONDS, "--candidate", str(rank))
    *candidates, chosen = seams_of(analysis)
    assert candidates == best["candidates"]
    assert chosen == candidates[rank - 1]
    assert step_ratio(join(odd_tempo(), analysis, made)) <= LARGEST_STEP


def test_a_start_and_an_end_move_to_the_nearest_good_seam(tmp_path: Path) -> None:
    piece = steady()
    analysis, _ = looped(piece, tmp_path, LOOP_SECONDS, "--start", "8.2", "--end", "23.9")
    assert abs(analysis["start"] - 8.2) < 0.7 and abs(analysis["end"] - 23.9) < 1.2
    assert analysis["beats"] == 32 and analysis["quality"] == "good" and analysis["beat_error_ms"] < 0.5
    assert (analysis["end"] - analysis["start"]) == pytest.approx(16, abs=0.001)


def test_an_exact_start_and_end_are_not_moved_and_get_the_right_quality(tmp_path: Path) -> None:
    options = ["--start", "8.2", "--end", "23.9", "--exact"]
    analysis, made = looped(steady(), tmp_path, LOOP_SECONDS, *options)
    assert (analysis["start"], analysis["end"]) == (8.2, 23.9)
    assert analysis["quality"] == "poor"  # it is three tenths of a second short of 32 beats
    assert analysis["tempo"] == pytest.approx(120, rel=0.002)
    assert len(made) == LOOP_SECONDS * 44_100


def test_an_exact_loop_on_the_beat_is_good(tmp_path: Path) -> None:
    analysis, _ = looped(steady(), tmp_path, LOOP_SECONDS, "--start", "8.05", "--end", "24.05", "--exact")
    assert analysis["quality"] == "good" and analysis["beats"] == 32


@pytest.mark.parametrize("start", [0.0, 3.0])
def test_an_exact_seam_works_without_beats_and_may_start_at_0(start: float, tmp_path: Path) -> None:
    options = ["--start", str(start), "--end", "25", "--exact"]
    analysis, made = looped(ambient(), tmp_path, LOOP_SECONDS, *options)
    assert (analysis["start"], analysis["end"]) == (start, 25)
    assert analysis["crossfade"] <= start
    assert len(made) == LOOP_SECONDS * 44_100


REFUSED = [
    (["--candidate", "9"], "there is no candidate 9: for a loop of 30 seconds, this track has "),
    (["--exact"], "--exact needs --start and --end"),
    (["--candidate", "0"], "--candidate is 1 for the best seam"),
    (["--start", "1"], "give both: --start of at least 0, and --end at least 0.1 seconds later"),
    (
        ["--start", "3", "--end", "3.05"],
        "give both: --start of at least 0, and --end at least 0.1 seconds later",
    ),
    (["--start", "-1", "--end", "3"], "give both: --start of at least 0, and --end at least 0.1 seconds later"),
    (
        ["--start", "nan", "--end", "3"],
        "give both: --start of at least 0, and --end at least 0.1 seconds later",
    ),
    (["--start", "1", "--end", "11"], "the loop cannot end at 11 seconds: the track has 10.050 seconds"),
    (["--start", "1", "--end", "inf"], "the loop cannot end at inf seconds: the track has 10.050 seconds"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_a_choice_that_is_not_possible_is_refused_with_a_sentence(
    options: list[str], sentence: str, tmp_path: Path
) -> None:
    source, folder = short().save(tmp_path), tmp_path / "made"
    folder.mkdir()
    ended = run(source, folder, 30, "WAV", *options)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1].startswith(sentence)
    assert not list(folder.iterdir())
