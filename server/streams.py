"""Sends events to all open streams from the event loop: one feed, and no thread for a stream.

A stream whose client reads slowly gets nothing more until the client has read what was sent. Then the stream reads the
events that it has missed, from the memory of the feed or from the database. So a slow client costs little memory, and
it misses nothing.
"""

import asyncio
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from records.events import Feed, Message
from records.streams import BEAT, BEAT_SECONDS, RETRY, STREAM_SECONDS, EventStream, sse
from server.forecasts import Forecasts
from server.lanes import Lane

if TYPE_CHECKING:
    from server.exchange import Exchange


class Streams:
    """All open streams."""

    def __init__(self, feed: Feed, lane: Lane, loop: asyncio.AbstractEventLoop) -> None:
        self.feed, self.lane, self.loop = feed, lane, loop
        self.position = -1  # all events up to this id have been sent to the streams that keep up
        self.senders: set[StreamSender] = set()
        self._forecasts = Forecasts(self, loop)
        self._watching = ExitStack()

    def add(self, exchange: "Exchange", stream: EventStream) -> "StreamSender":
        """Begin to send a stream; the head of the answer has been sent."""
        if not self.senders:
            self._watching.enter_context(self.feed.watched())
        sender = StreamSender(self, exchange, stream)
        self.senders.add(sender)
        sender.begin()
        return sender

    def __len__(self) -> int:
        return len(self.senders)

    def remove(self, sender: "StreamSender") -> None:
        """Forget a stream that has ended."""
        self.senders.discard(sender)
        if not self.senders:
            self._watching.close()

    def publish(self, messages: list[Message], position: int) -> None:
        """Send these events: all up to this position. If there are none, every stream reads the events by itself."""
        before, self.position = self.position, position
        blocks = [sse(message) for message in messages]
        whole = b"".join(blocks)
        by_job: dict[str, bytes] = defaultdict(bytes)
        for message, block in zip(messages, blocks, strict=True):
            by_job[message.job_id] += block
        for sender in list(self.senders):
            job_id = sender.stream.job_id
            if not sender.is_live:
                continue
            if not messages or sender.stream.point != before and sender.stream.point != position:
                sender.read_on()
            elif sender.stream.point == before:
                sender.send_new(whole if job_id is None else by_job.get(job_id, b""), position)

    def beat(self, now: float) -> None:
        """Called once a second: send comments to idle streams, end those that are open for long, send forecasts."""
        for sender in list(self.senders):
            sender.beat(now)
        self._forecasts.beat()


class StreamSender:
    """Sends one stream. It is live when it has sent all events that were published so far."""

    def __init__(self, streams: Streams, exchange: "Exchange", stream: EventStream) -> None:
        self.streams, self.exchange, self.stream = streams, exchange, stream
        self.is_live = False
        self.forecast: bytes | None = None  # the last one that was sent
        self._is_reading = self._is_open = False
        self._is_closed = False
        self._written_at = streams.loop.time()
        self._ends_at = self._written_at + STREAM_SECONDS

    def begin(self) -> None:
        """Send the first line. The events follow as soon as the feed has a position."""
        self.exchange.write(RETRY)
        if self.streams.feed.position >= 0:
            self.read_on()
        else:
            self.is_live = True  # publish() is called as soon as the feed has a position

    def read_on(self) -> None:
        """Read the events after the point of the stream, until it has all of them."""
        self.is_live = False
        if not self._is_reading and not self._is_closed:
            self._is_reading = True
            self.streams.lane.submit(self._read, self._send_block)

    def send_new(self, block: bytes, position: int) -> None:
        """Send the events up to a position."""
        if not self.exchange.connection.is_writable:
            self.is_live = False  # resume() reads them
            return
        self.stream.point = position
        if block:
            self._write(block)

    def send_forecast(self, event: bytes) -> None:
        """Send the event of a forecast if it differs from the last one; an empty one is not sent."""
        if event != self.forecast and self.exchange.connection.is_writable:
            self.forecast = event
            if event:
                self._write(event)

    def resume(self) -> None:
        """The client reads again."""
        if not self.is_live:
            self.read_on()

    def beat(self, now: float) -> None:
        """Show an idle client that the stream is open; end a stream that is open for long, or not allowed any more."""
        if now > self._ends_at or not self.stream.is_allowed():
            self.stop()
        elif now - self._written_at > BEAT_SECONDS and self.exchange.connection.is_writable:
            self._write(BEAT)

    def left(self) -> None:
        """The client has left."""
        self._end()

    def stop(self) -> None:
        """End the stream; the client connects again after a second."""
        if not self._is_closed:
            self.exchange.write(RETRY)
            self._end()

    def close(self) -> None:
        """Give the place to another stream."""
        self._is_closed = True
        self.streams.remove(self)
        self.stream.close()

    def _read(self) -> bytes:
        opening = b""
        if not self._is_open:
            self._is_open, opening = True, self.stream.opening()
        return opening + self.stream.read()

    def _send_block(self, block: Any) -> None:
        self._is_reading = False
        if self._is_closed:
            return
        if not isinstance(block, bytes):  # the database does not answer: the client connects again
            self._end()
            return
        if block:
            self._write(block)
        if self.stream.point >= self.streams.position:
            self.is_live = True
        elif self.exchange.connection.is_writable:
            self.read_on()

    def _write(self, block: bytes) -> None:
        self._written_at = self.streams.loop.time()
        self.exchange.write(block)

    def _end(self) -> None:
        if not self._is_closed:
            self.close()
            self.exchange.finish()
