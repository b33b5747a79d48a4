"""The board: what a process has written is read whole by all, also after it was killed while it wrote."""

import multiprocessing
import os
import signal
import zlib

import pytest

from maintenance.board import HALF, HEAD, Board

pytestmark = pytest.mark.no_cover  # in each fork, it would begin anew, which takes seconds


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
    board, context = Board(1), multiprocessing.get_context("fork")

    def write_for_ever() -> None:
        number = 0
        while True:
            number += 1
            board.write(0, [number] * 2000)

    for _ in range(20):
        before = board.read(0)
        process = context.Process(target=write_for_ever)
        process.start()
        while board.read(0) == before:
            pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        process.close()
        value = board.read(0)
        assert len(value) == 2000 and len(set(value)) == 1
