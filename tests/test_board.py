"""The board: what a process has written is read whole by all, also after it was killed while it wrote."""

import sys
import zlib

from maintenance.board import HALF, HEAD, Board
from tests.forked import run
from tests.service import ROOT


def test_every_place_has_the_last_value_of_its_process() -> None:
    board = Board(2)
    assert board.read(0) is None
    for number in range(5):
        board.write(0, {"number": number})
    board.write(1, "ä")
    assert board.read(0) == {"number": 4} and board.read(1) == "ä"


def test_a_value_that_is_half_written_is_not_read() -> None:
    board = Board(1)
    board.write(0, ["whole"])
    text = b'["half"]'
    start = board._start(0, 2)
    board._memory[start : start + HEAD.size + 4] = HEAD.pack(2, len(text), zlib.crc32(text)) + text[:4]
    assert board.read(0) == ["whole"]
    board.write(0, ["next"])
    assert board.read(0) == ["next"]


def test_a_value_that_is_too_long_is_left_out() -> None:
    board = Board(1)
    board.write(0, "short")
    board.write(0, "x" * HALF)
    assert board.read(0) == "short"


def test_a_process_that_is_killed_while_it_writes_leaves_a_whole_value() -> None:
    done = run([sys.executable, "-m", "tests.killed_board"], 60, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "20 values were whole\n"), done.stderr
