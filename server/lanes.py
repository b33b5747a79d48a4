"""Threads for work that must not block the event loop; the results come back to the loop in batches."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

from server.bridge import Uncommitted

log = logging.getLogger("ledger.web")
AT_ONCE = 50  # results; before more of them, the loop serves its clients. Many downloads would hold it up otherwise


class Lane:
    """A queue of work, and the threads that do it."""

    def __init__(self, name: str, threads: int, loop: asyncio.AbstractEventLoop) -> None:
        self._tasks: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = SimpleQueue()
        self._results: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._loop = loop
        self._is_woken = False
        self._undelivered = 0  # submitted work whose result has not come back yet
        self._threads = [threading.Thread(target=self._run, daemon=True, name=f"{name}-{i}") for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do the work in a thread, then call then(its result) in the loop.

        If the work raises an exception, the exception is the result.
        """
        self._undelivered += 1
        self._tasks.put((work, then))

    def close(self) -> None:
        """Let the threads end after the work that is queued."""
        for _ in self._threads:
            self._tasks.put(None)

    def is_busy(self) -> bool:
        """True until the results of all work have come back to the loop."""
        return self._undelivered > 0

    def is_alive(self) -> bool:
        """True until all threads have ended."""
        return any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while task := self._tasks.get():
            work, then = task
            try:
                result = work()
            except BaseException as error:
                result = error
            if isinstance(result, Uncommitted):
                result.then(partial(self._put, then))
            else:
                self._put(then, result)

    def _put(self, then: Callable[[Any], None], result: Any) -> None:
        """Let the loop call then(result)."""
        self._results.append((then, result))
        if not self._is_woken:  # one wake-up is enough for all results so far
            self._is_woken = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits for the result
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_woken = False
        for _ in range(min(len(self._results), AT_ONCE)):
            then, result = self._results.popleft()
            try:
                then(result)
            except Exception:
                log.exception("the result of %s cannot be used", then)
            self._undelivered -= 1
        if self._results and not self._is_woken:
            self._is_woken = True
            self._loop.call_soon(self._deliver)
