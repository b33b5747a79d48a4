"""The bodies of requests: small ones in memory, large ones in a file of the storage folder."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from files.spooled import SPOOLED, SpooledBody
from server.answers import Refusal
from server.environ import Environ
from server.lanes import Lane

BLOCK = 128 * 1024  # bytes of a slow upload that are in memory before they are written to its file
FULL = "Too many bodies are being read just now: send this again in a moment."


class Body:
    """A request without a body; and the interface of all kinds of bodies."""

    is_being_written = False
    refusal: Refusal | None = None  # the answer if the body cannot be kept; None if the app gives the answer
    pause: Callable[[bool], None]

    def __init__(self) -> None:
        self.received = 0

    def add(self, data: bytes) -> bool:
        """Keep a part of the body. False if no more can be kept."""
        return True

    def end(self, then: Callable[[], None]) -> None:
        """No more will arrive: call then() when all is kept."""
        then()

    def give_to(self, environ: Environ) -> None:
        """Let the app read the body."""
        environ["wsgi.input"] = BytesIO()

    def discard(self) -> None:
        """Free what was kept."""


class MemoryBody(Body):
    """A body in memory."""

    def __init__(self, budget: "Budget") -> None:
        super().__init__()
        self._data = bytearray()
        self._budget = budget

    def add(self, data: bytes) -> bool:
        """Keep a part of the body. False if all bodies together have become too large."""
        if not self._budget.has_room(len(data)):
            self.refusal = Refusal(503, "unavailable", FULL)
            return False
        self._data += data
        self.received += len(data)
        self._budget.used += len(data)
        return True

    def give_to(self, environ: Environ) -> None:
        """Let the app read the body."""
        environ["wsgi.input"] = BytesIO(self._data)

    def discard(self) -> None:
        """Free the memory."""
        self._budget.used -= len(self._data)
        self._data = bytearray()


class FileBody(Body):
    """A body in a file, which a thread writes while the client waits."""

    def __init__(self, path: Path, lane: Lane, budget: "Budget") -> None:
        super().__init__()
        self.spooled = SpooledBody(path)
        self._budget = budget
        budget.used += 1
        self._lane = lane
        self._data = bytearray()  # what is not written yet
        self._then: Callable[[], None] | None = None
        self._is_discarded = False

    def add(self, data: bytes) -> bool:
        """Keep a part of the body. False if the file cannot be written."""
        self.received += len(data)
        self._data += data
        if len(self._data) >= BLOCK and not self.is_being_written:
            self._write()
        return self.spooled.error is None

    def end(self, then: Callable[[], None]) -> None:
        """No more will arrive: call then() when all is written."""
        self._then = then
        if not self.is_being_written:
            self._write()

    def give_to(self, environ: Environ) -> None:
        """Let the app read the file, or move it."""
        environ["wsgi.input"], environ[SPOOLED] = self.spooled.rewind(), self.spooled

    def discard(self) -> None:
        """Close and delete the file, unless it has been moved."""
        if not self._is_discarded:
            self._is_discarded = True
            self._budget.used -= 1
            if not self.is_being_written:
                self._close()

    def _close(self) -> None:
        self._lane.submit(self.spooled.close, lambda _: None)

    def _write(self) -> None:
        self.is_being_written = True
        self.pause(True)
        data, self._data = self._data, bytearray()
        self._lane.submit(partial(self.spooled.write, data), self._written)

    def _written(self, _: Any) -> None:
        self.is_being_written = False
        if self._is_discarded:
            self._close()
            return
        self.pause(False)
        if self._then is None:
            return
        if self._data and self.spooled.error is None:
            self._write()
        else:
            then, self._then = self._then, None
            then()


class Budget:
    """A limit for all bodies of one kind together: bytes of memory, or a number of files."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def has_room(self, amount: int) -> bool:
        """True if one more body can use this amount."""
        return self.used + amount <= self.limit
