"""Loops of whole bars and whole rounds: their length, where their files repeat, and what is refused."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest

from files.sound import Sink
from studio.looper import __main__ as looper
from studio.looper.analysis import Choice, analyse
from studio.looper.arrangement import play
from studio.looper.bars import Bars
from studio.looper.length import file_frames
from tests.loop_quality import decoded
from tests.pieces import Piece, generate
from tests.pieces.band import Audio, Band
from tests.pieces.rhythms import play_drums
from tests.pieces.songs import ambient, steady
from tests.test_looper import sound


class Ended(NamedTuple):
    """How the looper has ended, and what it printed."""

    returncode: int
    stdout: str


def made(piece: Piece, folder: Path, *options: str, kind: str = "WAV") -> tuple[dict[str, Any], Audio]:
    """The analysis and the samples of a loop with these options."""
    ended = run(piece, folder, "--format", kind, *options)
    assert ended.returncode == 0, ended.stdout
    return json.loads((folder / "analysis.json").read_text()), sound(folder / f"loop.{kind.lower()}")


def run(piece: Piece, folder: Path, *options: str) -> Ended:
    """Run the looper with these options in this process."""
    words, printed = ["studio.looper", str(piece.save(folder)), str(folder), *options], io.StringIO()
    with redirect_stdout(printed), patch.object(sys, "argv", words), patch.object(looper, "keep_freed_memory"):
        try:
            looper.main()
        except SystemExit as ended:
            return Ended(1, f"{printed.getvalue()}{ended.code}\n")
    return Ended(0, printed.getvalue())


# --- bars


@pytest.mark.parametrize("count", [1, 4, 9, 12])
@pytest.mark.parametrize("intro", [True, False])
def test_a_loop_has_exactly_its_bars(count: int, intro: bool, tmp_path: Path) -> None:
    analysis, file = made(steady(), tmp_path, "--bars", str(count), *([] if intro else ["--no-intro"]))
    assert analysis["beats_per_bar"] == 4 and analysis["beats"] % 4 == 0
    assert analysis["duration"] == pytest.approx(2 * count, abs=0.002) and len(file) == analysis["frames"]
    assert (count * 4) % analysis["beats"] == 0


@pytest.mark.parametrize(("name", "index", "beats"), [("4/4", 7, 4), ("3/4", 7, 3), ("7/8", 1, 7), ("7/8", 9, 7)])
def test_the_repetition_says_how_many_beats_a_bar_has(name: str, index: int, beats: int, tmp_path: Path) -> None:
    piece = generate(name, index, 5)
    assert piece.beats is not None
    with decoded(piece, tmp_path) as pcm:
        analysis = analyse(pcm, Bars(4), Choice(), lambda share: None)
        seconds = file_frames(analysis, Bars(4), False) / pcm.rate
    bar = piece.bar * float(np.median(np.diff(piece.beats)))
    assert analysis.beats_per_bar == beats == piece.bar and seconds == pytest.approx(4 * bar, rel=0.001)


def test_five_beats_a_bar_are_recognised(tmp_path: Path) -> None:
    band = Band(40, 44_100, 1, 3)
    beats = np.arange(0.05, 39.5, 60 / 132.0)
    play_drums(band, beats, ("kick", "hat", "hat", "snare", "hat"))
    with decoded(Piece("five", 44_100, band.sound * np.float32(0.5), beats, 5), tmp_path) as pcm:
        assert analyse(pcm, 30.0, Choice(), lambda share: None).beats_per_bar == 5


def test_a_loop_without_beats_cannot_be_ordered_by_bars(tmp_path: Path) -> None:
    ended = run(ambient(), tmp_path, "--bars", "4", "--format", "WAV")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "bars need beats, and this track has no clear beats: order seconds instead"


CUT = ["--start", "8.05", "--end", "16.05", "--exact"]
REFUSED = [
    (["--bars", "7", "--no-intro", *CUT], "7 bars of 4 beats are no whole number of rounds of 16 beats"),
    (["--bars", "2", *CUT], "the part between start and end is longer than 2 bars"),
    (["--bars", "9", *CUT[:-1]], "no seam near start and end fits this number of bars: change start or end"),
    (["--duration", "30", "--no-intro", "--fade"], "a loop with fades does not repeat"),
    (["--bars", "8", "--candidate", "9"], "there is no candidate 9: for a loop of 8 bars, this track has"),
    (["--bars", "1", "--candidate", "9"], "there is no candidate 9: for a loop of 1 bar, this track has"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_a_length_that_is_not_possible_is_refused_with_a_sentence(
    options: list[str], sentence: str, tmp_path: Path
) -> None:
    ended = run(steady(), tmp_path, "--format", "WAV", *options)
    assert ended.returncode == 1 and sentence in ended.stdout.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["steady.wav"]


@pytest.mark.parametrize("options", [["--bars", "12", *CUT], ["--bars", "8", "--start", "8.2", "--end", "16.1"]])
def test_bars_and_a_chosen_seam_work_together(options: list[str], tmp_path: Path) -> None:
    analysis, file = made(steady(), tmp_path, *options, "--no-intro")
    assert (analysis["beats"], analysis["duration"]) == (16, pytest.approx(2 * int(options[1]), abs=0.002))
    assert (analysis["loop_start_frame"], analysis["loop_end_frame"]) == (0, len(file))


# --- rounds, and where the file repeats


@pytest.mark.parametrize(("seconds", "rounds"), [(8, 1), (9, 1), (13, 2), (20.1, 3), (60, 8)])
def test_a_loop_without_intro_has_the_nearest_number_of_rounds(seconds: float, rounds: int, tmp_path: Path) -> None:
    analysis, file = made(steady(), tmp_path, "--duration", str(seconds), "--no-intro", *CUT)
    lag = round((analysis["end"] - analysis["start"]) * 44_100)
    assert len(file) == rounds * lag == analysis["loop_end_frame"] and analysis["loop_start"] == 0
    start = round(8.05 * 44_100)
    assert np.array_equal(file[:100_000], sound(tmp_path / "steady.wav")[start : start + 100_000])


@pytest.mark.parametrize("make", [steady, partial(generate, "swing", 3), partial(generate, "7/8", 1), ambient])
@pytest.mark.parametrize("options", [[], ["--no-intro"]], ids=str)
def test_the_end_of_a_repeat_goes_on_at_its_start_as_in_a_longer_file(
    make: Callable[[], Piece], options: list[str], tmp_path: Path
) -> None:
    piece = make()
    analysis, short = made(piece, tmp_path, "--duration", "45", *options)
    start, end = analysis["loop_start_frame"], analysis["loop_end_frame"]
    played = np.concatenate([short[:end], short[start:end], short[start:end]])
    with decoded(piece, tmp_path) as pcm, Sink(tmp_path / "longer.wav", pcm.rate, pcm.channels, "WAV") as longer:
        seam = analyse(pcm, 45.0, Choice(), lambda share: None).seam
        for block in play(pcm, seam, len(played), not options):
            longer.write(block)
    assert np.array_equal(played, sound(tmp_path / "longer.wav"))


def test_a_faded_loop_repeats_between_its_fades_if_there_is_room(tmp_path: Path) -> None:
    analysis, file = made(steady(), tmp_path, "--duration", "60", "--fade", *CUT)
    start, end = analysis["loop_start_frame"], analysis["loop_end_frame"]
    assert start >= 2 * 44_100 and end <= len(file) - 5 * 44_100 and (end - start) % (8 * 44_100) == 0
    assert np.array_equal(file[start : start + 44_100], file[start + 8 * 44_100 : start + 9 * 44_100])
    short, _ = made(steady(), tmp_path, "--duration", "9", "--fade", *CUT)
    assert [short[name] for name in ("loop_start", "loop_end", "loop_start_frame", "loop_end_frame")] == [None] * 4


def test_a_file_that_ends_before_a_round_does_not_repeat(tmp_path: Path) -> None:
    analysis, _ = made(steady(), tmp_path, "--duration", "7.9", *CUT)
    assert analysis["loop_start"] is None
