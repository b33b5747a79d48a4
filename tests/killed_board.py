"""Kills processes that write on a board: python -m tests.killed_board. Each leaves a whole value.

It is a program of its own, because a fork of the tests copies all that they have imported.
"""

import multiprocessing
import os
import signal
from typing import Any

from maintenance.board import Board

KILLS = 20


def write_for_ever(board: Board) -> None:
    """Write values, each longer than a page of memory."""
    number = 0
    while True:
        number += 1
        board.write(0, [number] * 2000)


def last_of_a_killed_process(board: Board) -> Any:
    """Let a process write until it has begun, kill it, and return what it has left."""
    before = board.read(0)
    process = multiprocessing.get_context("fork").Process(target=write_for_ever, args=(board,))
    process.start()
    while board.read(0) == before:
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    process.close()
    return board.read(0)


if __name__ == "__main__":
    shared = Board(1)
    left = [last_of_a_killed_process(shared) for _ in range(KILLS)]
    print(f"{sum(len(value) == 2000 and len(set(value)) == 1 for value in left)} values were whole")
