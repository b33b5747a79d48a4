"""The tables of make bench-loops come from the qualities of loops."""

import pytest

from bench.loop_speed import cells
from bench.loop_tables import Pair, print_beats, print_seams, print_words
from bench.loop_tools import Run
from tests.loop_quality import Quality


def pair(beat: float, word: str) -> Pair:
    """Loops of one piece; PyMusicLooper's is ten times as late."""
    ours, theirs = (
        Quality("piece", name, late, True, 0.5, 0.8, 1.1, -1.0, 20.0) for name, late in ((word, beat), ("", 10 * beat))
    )
    return Pair(ours, theirs)


CLASSES = {"a1": [pair(0.1, "good"), pair(0.3, "fair")], "white": [Pair(pair(0, "good").ours, None)]}


def test_the_beat_errors_are_median_and_90_percent_and_worst(capsys: pytest.CaptureFixture[str]) -> None:
    print_beats(CLASSES)
    rows = capsys.readouterr().out.splitlines()
    assert rows[-1] == "| a1 | 2 | 2.00 / 2.80 / 3.00 | 0.20 / 0.28 / 0.30 |"
    assert not any("white" in row for row in rows)


def test_a_piece_without_a_loop_has_no_seam(capsys: pytest.CaptureFixture[str]) -> None:
    print_seams(CLASSES)
    assert "| white | — / 0.50 | — / 1.10 | — / -1.00 | 1 / 0 |" in capsys.readouterr().out


def test_the_words_are_counted_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    print_words(CLASSES)
    text = capsys.readouterr().out
    assert "| class | good | fair |" in text and "| a1 | 1 | 1 |" in text
    assert "good: 2, of these as good as the word says: 2" in text
    assert "noise, pads, speech, silence: 1, of these good: 1" in text


def test_the_speed_is_seconds_of_sound_for_every_second_of_cpu_time() -> None:
    assert cells(Run("", 2.0, 50.4), 600) == "300 | 2.0 | 50"
