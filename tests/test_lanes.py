"""Lanes: threads that work for an event loop."""

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from server.lanes import AT_ONCE, Lane
from tests.conftest import wait_for

Test = Callable[[asyncio.AbstractEventLoop], Awaitable[None]]
SECONDS = 5


def end(lane: Lane) -> None:
    """Close a lane, and wait until its threads have ended."""
    lane.close()
    wait_for(lambda: not lane.is_alive(), 30)


def test_results_come_back_to_the_loop_in_order() -> None:
    async def run() -> list[object]:
        lane, results, is_done = Lane("test", 1, asyncio.get_running_loop()), [], asyncio.Event()
        main = threading.get_ident()

        def then(result: object) -> None:
            assert threading.get_ident() == main
            results.append(result)
            if len(results) == 100:
                is_done.set()

        for number in range(100):
            lane.submit(lambda number=number: (number, threading.get_ident() != main), then)  # type: ignore[misc]
        await asyncio.wait_for(is_done.wait(), 30)
        end(lane)
        return results

    assert asyncio.run(run()) == [(number, True) for number in range(100)]


def test_an_exception_is_a_result_and_a_failing_receiver_stops_nobody() -> None:
    async def run() -> object:
        lane, got = Lane("test", 1, asyncio.get_running_loop()), asyncio.Future[object]()
        lane.submit(lambda: 1 / 0, lambda result: 1 / 0)
        lane.submit(lambda: 1 / 0, got.set_result)
        result = await asyncio.wait_for(got, 30)
        end(lane)
        return result

    assert isinstance(asyncio.run(run()), ZeroDivisionError)


def run(test: Test) -> None:
    """Run this test in an event loop."""

    async def main() -> None:
        await asyncio.wait_for(test(asyncio.get_running_loop()), 4 * SECONDS)

    asyncio.run(main())


@contextmanager
def opened(loop: asyncio.AbstractEventLoop, threads: int = 1) -> Iterator[Lane]:
    """A lane that is closed at the end."""
    lane = Lane("test", threads, loop)
    try:
        yield lane
    finally:
        end(lane)


def result(lane: Lane, work: Callable[[], Any]) -> "asyncio.Future[Any]":
    """What the lane gives back for this work."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    lane.submit(work, future.set_result)
    return future


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_is_a_result_and_the_thread_goes_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def test(loop: asyncio.AbstractEventLoop) -> None:
        with opened(loop) as lane:
            assert await result(lane, fail) is error
            assert await result(lane, lambda: 7) == 7

    run(test)


def test_every_result_of_many_threads_comes_once() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        with opened(loop, threads=8) as lane:
            results = [result(lane, lambda number=number: number) for number in range(5000)]  # type: ignore[misc]
            assert await asyncio.gather(*results) == list(range(5000))

    run(test)


def test_many_results_do_not_hold_up_the_loop() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        delivered, seen = list[int](), [0]
        with opened(loop) as lane:
            for number in range(3 * AT_ONCE + 1):
                lane.submit(lambda number=number: number, delivered.append)  # type: ignore[misc]
            wait_for(lambda: len(lane._results) == 3 * AT_ONCE + 1, SECONDS)  # the loop has not run meanwhile
            while len(delivered) <= 3 * AT_ONCE:
                await asyncio.sleep(0)
                seen.append(len(delivered))
        assert max(after - before for before, after in itertools.pairwise(seen)) == AT_ONCE
        assert delivered == list(range(3 * AT_ONCE + 1))

    run(test)


def test_close_does_the_work_in_the_queue_and_ends_the_threads() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        before, done = set(threading.enumerate()), list[int]()
        lane = Lane("test", 3, loop)
        started = set(threading.enumerate()) - before
        for number in range(50):
            lane.submit(lambda number=number: done.append(number), lambda _: None)  # type: ignore[misc]
        end(lane)
        assert len(started) == 3 and not any(thread.is_alive() for thread in started)
        assert sorted(done) == list(range(50))

    run(test)


def test_a_thread_that_does_not_end_is_not_waited_for() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        gate = threading.Event()
        lane = Lane("test", 1, loop)
        stuck = result(lane, lambda: gate.wait(SECONDS))
        lane.close()
        assert lane.is_alive() and not gate.is_set()
        gate.set()
        assert await stuck is True

    run(test)


def test_work_that_ends_after_the_loop_harms_nothing() -> None:
    gate = threading.Event()
    with closing(asyncio.new_event_loop()) as loop:
        lane = Lane("late", 1, loop)
        lane.submit(lambda: gate.wait(SECONDS), lambda _: None)
    gate.set()
    end(lane)
    assert not any(thread.name == "late-0" for thread in threading.enumerate())
