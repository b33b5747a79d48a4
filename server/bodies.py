"""The bodies of requests: small ones in memory, large ones in a file of the storage folder."""

from collections import deque
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from access.shares import Limit
from errors import Busy
from files.spooled import SPOOLED, SpooledBody
from server.answers import Refusal, refusal
from server.environ import Environ
from server.lanes import Lane

LEAST_RATE, RATE_SECONDS = 1000, 5  # bytes a second of a body, on average over these seconds
BLOCK = 128 * 1024  # bytes of a slow upload that are in memory before they are written to its file


class Body:
    """A request without a body; and the interface of all kinds of bodies."""

    is_being_written = False
    refusal: Refusal | None = None  # the answer if the body cannot be kept; None if the app gives the answer
    pause: Callable[[bool], None]

    def __init__(self) -> None:
        self.received = 0
        self._counts: deque[int] = deque(maxlen=RATE_SECONDS + 1)  # of the bytes, at the last checks

    def is_too_slow(self, must_wait: bool) -> bool:
        """Called once a second: True if the body arrives too slowly. must_wait: the client must not send it yet."""
        if must_wait or self.is_being_written:
            self._counts.clear()
        self._counts.append(self.received)
        arrived = self.received - self._counts[0]
        return len(self._counts) > RATE_SECONDS and arrived < LEAST_RATE * RATE_SECONDS

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

    def __init__(self, memory: Limit, client: str) -> None:
        super().__init__()
        self._data = bytearray()
        self._memory, self._client = memory, client

    def add(self, data: bytes) -> bool:
        """Keep a part of the body. False if all bodies, or those of this client, have become too large."""
        try:
            self._memory.take(self._client, len(data))
        except Busy as error:
            self.refusal = refusal(error)
            return False
        self._data += data
        self.received += len(data)
        return True

    def give_to(self, environ: Environ) -> None:
        """Let the app read the body."""
        environ["wsgi.input"] = BytesIO(self._data)

    def discard(self) -> None:
        """Free the memory."""
        self._memory.give_back(self._client, len(self._data))
        self._data = bytearray()


class FileBody(Body):
    """A body in a file, which a thread writes while the client waits. Raises Busy if too many are open."""

    def __init__(self, path: Path, lane: Lane, files: Limit, client: str) -> None:
        super().__init__()
        files.take(client)
        self.spooled = SpooledBody(path)
        self._files, self._client = files, client
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
            self._files.give_back(self._client)
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
