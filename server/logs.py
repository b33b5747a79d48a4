"""Writes the log to stderr: one line for each entry, and one for each request."""

import asyncio
import logging
import sys
import time
from contextlib import suppress

TIME = "%Y-%m-%d %H:%M:%S"


def log_to_stderr() -> None:
    """Send the log of this service to stderr, one line for each entry."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("ledger")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False


class AccessLog:
    """The lines of requests, with the time as in the other lines. All methods run in the event loop.

    The lines of one turn of the loop are written together. Through the logging module, one line would take a tenth of
    the time of a small request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: list[str] = []
        self._second, self._text = 0, ""  # the last second, and its text

    def write(self, line: str) -> None:
        """Write a line soon."""
        if not self._lines:
            self._loop.call_soon(self.flush)
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._text = second, time.strftime(TIME, time.localtime(second))
        self._lines.append(f"{self._text},{int((now - second) * 1000):03d} {line}\n")

    def flush(self) -> None:
        """Write the lines now."""
        text, self._lines = "".join(self._lines), []
        with suppress(OSError, ValueError):  # nobody reads the log
            sys.stderr.write(text)
            sys.stderr.flush()
