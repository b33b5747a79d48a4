"""The bytes of a stream of Server-Sent Events: every committed change after a point, of all jobs or of one job."""

import time
from collections.abc import Callable, Generator, Iterator

from database import AWAY, give_back_connection
from errors import Pruned
from records.commits import newest
from records.events import Feed, Message, newest_event

BEAT_SECONDS = 10.0  # a comment this often: proxies then keep the connection open
NOTICE_SECONDS = 2.0  # another server notices only by a write that a client has left
STREAM_SECONDS = 15 * 60.0
RETRY = b"retry: 1000\n\n"
BEAT = b":\n\n"


class EventStream:
    """One stream: the events after a point, or from now on. After a break, its client continues after its last event.

    A server that supports this class sends the events to all streams without a thread. Any other server iterates over
    the blocks, and one thread waits in each stream; such a stream has no forecasts. A stream ends when is_allowed() is
    false: the token of its client was removed, or the session was ended.
    """

    def __init__(
        self,
        feed: Feed,
        point: int | None,
        job_id: str | None,
        closed: Callable[[], object],
        wants_forecast: bool = False,
        is_allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.feed, self.job_id, self.wants_forecast, self.is_allowed = feed, job_id, wants_forecast, is_allowed
        self.point = -1 if point is None else point
        self._begins_now = point is None
        self._blocks: Generator[bytes, None, None] | None = None
        self._closed: Callable[[], object] | None = closed

    def opening(self) -> bytes:
        """The first block: an id without an event. A client that saw no event resumes from this id.

        The feed must have a position.
        """
        position = self.feed.position
        try:
            if self._begins_now:
                last = newest_event(self.job_id, position) if self.job_id else None
                self.point = position
                return sse(last) if last else b"id: %d\n\n" % position
            if self.point > position and self.point > max(newest()):
                return self._resync()  # the point is from another database: the file was replaced
            return b""
        finally:
            give_back_connection()

    def read(self) -> bytes:
        """Some of the events after the point, up to the position of the feed; the point moves after them."""
        try:
            messages, self.point = self.feed.read(self.point, self.job_id)
        except Pruned:
            return self._resync()
        finally:
            give_back_connection()
        return b"".join(map(sse, messages))

    def __iter__(self) -> Iterator[bytes]:
        """The blocks, for a server that gives a thread to each stream.

        Ends after 15 minutes, when the process stops, and when the database goes away.
        """
        self._blocks = self._iterate()
        return self._blocks

    def close(self) -> None:
        """End the stream, and give its place to another."""
        if self._blocks is not None:
            self._blocks.close()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    __del__ = close

    def _iterate(self) -> Generator[bytes, None, None]:
        ends = time.monotonic() + STREAM_SECONDS
        with self.feed.watched():
            yield RETRY
            try:
                yield from self._until(ends)
            except AWAY:
                return
            finally:
                give_back_connection()

    def _until(self, ends: float) -> Iterator[bytes]:
        while not self.feed.wait(-1, NOTICE_SECONDS):
            if time.monotonic() > ends or self.feed.stopping.is_set():
                return
            yield BEAT
        yield self.opening()
        written = time.monotonic()
        while time.monotonic() < ends and not self.feed.stopping.is_set() and self.is_allowed():
            has_news = self.feed.wait(self.point, min(written + NOTICE_SECONDS, ends) - time.monotonic())
            block = self.read() if has_news else b""
            if block or time.monotonic() - written >= NOTICE_SECONDS:
                yield block or BEAT
                written = time.monotonic()

    def _resync(self) -> bytes:
        """Tell the client to read the records again, because events that it has not seen were deleted."""
        self.point = self.feed.position
        return b'id: %d\nevent: resync\ndata: {"event_id":%d}\n\n' % (self.point, self.point)


def sse(message: Message) -> bytes:
    """Encode an event as a Server-Sent Event."""
    return f"id: {message.event_id}\nevent: {message.name}\ndata: {message.record}\n\n".encode()
