"""The seam of a loop that somebody chose: a candidate, the seam nearest to two times, or exactly these times."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from studio.looper import candidates
from studio.looper.analysis import Choice, analyse
from studio.looper.beats import grid
from studio.looper.features import Features
from studio.looper.pcm import Pcm
from studio.looper.quality import MOST_FLUX, SeamContext, flux_ratio, has_gap
from studio.looper.repeats import Repeat
from studio.looper.seams import Seam
from tests.listening import step_ratio
from tests.loop_quality import LARGEST_STEP, decoded
from tests.pieces import Piece, short
from tests.pieces.songs import ambient, steady
from tests.test_looper import join, looped, run, sound

LOOP_SECONDS = 60.0


def seams_of(analysis: dict[str, Any]) -> list[dict[str, Any]]:
    """The candidates, and the seam of the loop itself without them."""
    return [*analysis["candidates"], {name: analysis[name] for name in analysis["candidates"][0]}]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pcm]:
    """Forty seconds at 120 BPM, decoded."""
    with decoded(steady(), tmp_path_factory.mktemp("steady")) as pcm:
        yield pcm


@pytest.fixture(scope="module")
def best(recording: Pcm) -> dict[str, Any]:
    """The analysis without a choice."""
    return chosen(recording)


def chosen(pcm: Pcm, duration: float = LOOP_SECONDS, **choice: Any) -> dict[str, Any]:
    """The analysis of a recording for a choice."""
    return analyse(pcm, duration, Choice(**choice), lambda share: None).record()


def test_candidates_are_up_to_five_seams_apart_and_the_first_is_the_loop(best: dict[str, Any]) -> None:
    *candidates, seam = seams_of(best)
    assert 4 <= len(candidates) <= 5 and candidates[0] == seam
    for one, other in combinations(candidates, 2):
        lengths = abs((one["end"] - one["start"]) - (other["end"] - other["start"]))
        assert lengths >= 0.25 or abs(one["start"] - other["start"]) >= 4
    assert all(0 <= one["beat_error_ms"] <= 1 and one["quality"] in ("good", "fair") for one in candidates)
    assert [one["score"] for one in candidates[1:]] == sorted((one["score"] for one in candidates[1:]), reverse=True)


@pytest.mark.parametrize(("costs", "chosen"), [((0.28, 0.31), 32), ((0.24, 0.27), 164), ((0.4, 0.43), 164)])
def test_a_longer_seam_is_chosen_unless_it_is_no_longer_good(
    costs: tuple[float, float], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [Repeat(0, length, cost) for length, cost in zip((32, 164), costs, strict=True)]
    monkeypatch.setattr(candidates, "seams_of", lambda pcm, pulse, pair: iter([Seam(0, pair.end, 0, pair.cost)]))
    seams = candidates.best_seams(cast(Any, SimpleNamespace(rate=1)), cast(Any, None), pairs)
    assert seams[0].lag == chosen


@pytest.mark.parametrize("rank", [2, 4])
def test_a_candidate_is_the_seam_that_was_listed(rank: int, best: dict[str, Any], recording: Pcm) -> None:
    *candidates, seam = seams_of(chosen(recording, candidate=rank))
    assert candidates == best["candidates"]
    assert seam == candidates[rank - 1]


def test_the_file_of_a_candidate_has_its_seam(best: dict[str, Any], tmp_path: Path) -> None:
    analysis, made = looped(steady(), tmp_path, LOOP_SECONDS, "--candidate", "2")
    assert seams_of(analysis)[-1] == best["candidates"][1]
    assert step_ratio(join(steady(), analysis, made)) <= LARGEST_STEP


def test_a_start_and_an_end_move_to_the_best_seam_nearby(recording: Pcm) -> None:
    seam = chosen(recording, start=8.2, end=23.9)
    assert abs(seam["start"] - 8.05) < 0.1 and abs(seam["end"] - 24.05) < 0.1
    assert seam["beats"] == 32 and seam["quality"] == "good" and seam["beat_error_ms"] < 0.5


def test_a_nearer_seam_is_preferred_to_a_seam_a_second_away(recording: Pcm) -> None:
    seam = chosen(recording, start=9.0, end=13.1)
    assert abs(seam["start"] - 9.05) < 0.1 and abs(seam["end"] - 13.05) < 0.1


@pytest.mark.parametrize(("start", "end"), [(0.0, 40.05), (0.3, 39.9), (38.0, 40.05), (6.0, 6.6)])
def test_a_chosen_seam_lies_in_the_track_and_keeps_its_length(start: float, end: float, recording: Pcm) -> None:
    seam = chosen(recording, start=start, end=end)
    assert 0 <= seam["start"] < seam["end"] <= recording.seconds
    assert seam["end"] - seam["start"] == pytest.approx(end - start, rel=0.26)
    assert seam["crossfade"] <= seam["start"]


def test_a_chosen_seam_is_no_longer_than_the_loop(recording: Pcm) -> None:
    seam = chosen(recording, duration=15.9, start=8.2, end=23.9)
    assert seam["end"] - seam["start"] <= 15.9


@pytest.mark.parametrize(("off", "quality"), [(0.0, "good"), (0.002, "good"), (0.015, "fair"), (0.3, "poor")])
def test_an_exact_seam_is_not_moved_and_shows_its_beat_error(off: float, quality: str, recording: Pcm) -> None:
    seam = chosen(recording, start=8.05, end=24.05 - off, exact=True)
    assert (seam["start"], seam["end"]) == pytest.approx((8.05, 24.05 - off), abs=1 / 44_100)
    assert seam["quality"] == quality
    assert seam["beat_error_ms"] == pytest.approx(1000 * min(off, 0.5 - off), abs=20 if off > 0.04 else 1)
    assert seam["tempo"] == pytest.approx(120, rel=0.002)


@pytest.mark.parametrize("start", [0.0, 3.0])
def test_an_exact_seam_works_without_beats_and_may_start_at_0(start: float, tmp_path: Path) -> None:
    options = ["--start", str(start), "--end", "25", "--exact"]
    analysis, made = looped(ambient(), tmp_path, LOOP_SECONDS, *options)
    assert (analysis["start"], analysis["end"]) == (start, 25)
    assert analysis["crossfade"] <= start
    assert len(made) == LOOP_SECONDS * 44_100


def test_a_loop_that_ends_before_its_seam_begins_with_the_part_that_repeats(tmp_path: Path) -> None:
    piece = steady()
    _, made = looped(piece, tmp_path, 10, "--start", "12.05", "--end", "20.05", "--exact")
    source = sound(tmp_path / "steady.wav")
    start = round(12.05 * piece.rate)
    assert np.array_equal(made[: 7 * piece.rate], source[start : start + 7 * piece.rate])
    assert len(made) == 10 * piece.rate


@pytest.mark.parametrize("crossfade", [0.0, 0.03, 0.5])
@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 192_000])
def test_the_flux_of_a_seam_shows_a_change_at_every_sample_rate(rate: int, crossfade: float, tmp_path: Path) -> None:
    time = np.arange(8 * rate) / rate
    tones = np.where(time < 4, np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 620 * time))
    inverted = (0.3 * tones[:, None] * np.array([1, -1])).astype(np.float32)
    mixed = round(crossfade * rate)
    with decoded(Piece("tones", rate, inverted), tmp_path) as pcm:
        same = flux_ratio(pcm, Seam(rate, 2 * rate, mixed, 0.0))  # 440 periods apart
        other = flux_ratio(pcm, Seam(rate, 6 * rate, mixed, 0.0))
    assert same <= MOST_FLUX < other


GAPS = [
    ([(2, 3.4)], False),
    ([(2, 3.6)], True),
    ([(0, 0.9), (9.1, 10)], True),
    ([(0, 0.5), (4, 5.2)], False),
    ([(0, 10)], True),
]


@pytest.mark.parametrize(("silences", "has"), GAPS)
def test_a_gap_is_a_long_silence_inside_a_loop_or_over_its_seam(silences: list[tuple[float, float]], has: bool) -> None:
    level = np.full(1600, 0.01, np.float32)
    level[:300] = 0
    for first, last in silences:
        level[300 + round(100 * first) : 300 + round(100 * last)] = 1e-6
    features = Features(0.01, 1, level, level, level, np.zeros((1600, 60), np.float16))
    context = SeamContext(cast(Pcm, SimpleNamespace(rate=100)), features, grid(features), 0.0)
    assert has_gap(context, Seam(300, 1300, 3, 0.0)) is has


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
