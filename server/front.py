"""The front: reads requests and sends answers in one event loop, and calls the app in a few threads.

A client that is slow, or that waits, costs a little memory and no thread. So it cannot hold up another client.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from maintenance.traffic import RequestIds, Traffic
from records.events import Feed, Message
from records.handover import Handover
from records.streams import EventStream
from records.waits import HAS_LEFT, Wait
from server import bridge
from server.answers import Answer, Refusal
from server.bodies import FULL, Body, Budget, FileBody, MemoryBody
from server.environ import Environ, Environs
from server.exchange import Exchange
from server.http import Connection
from server.lanes import Lane
from server.logs import AccessLog
from server.memory import give_back_memory
from server.streams import Streams
from server.transfers import FileSender
from server.waits import Waits

log = logging.getLogger("ledger.web")

QUEUE = 1000  # requests that may wait for a thread of the app
FILE_BODIES = 500  # bodies that may be in files at the same time
UPLOAD_QUEUE = 64  # complete uploads that may wait for a thread
UNBOUNDED = 1_000_000
SMALL_BODY = 1024 * 1024  # a longer body is written to a file
BODIES_BYTES = 64 * 1024 * 1024  # all bodies in memory together
UNSENT_BYTES = 64 * 1024 * 1024  # all answers together that clients are slow to read
CHECK_SECONDS = 1.0
MEMORY_SECONDS = 10.0  # after a crowd of 2,500 clients, the process keeps 89 MB instead of 130


class Site(NamedTuple):
    """What the front serves: the app, and functions that say how to read the requests for it.

    body_limit says how many bytes the body of a request with this head may have. It is 0 if the app refuses the request
    by its head. is_read says whether the request changes nothing. is_upload says whether the app must decode the body,
    which takes long. part gives the path of a new file for a body. traffic counts the requests. threads: the number of
    threads that call the app for reads, and the same number for writes. logs_json: whether the log has JSON objects.
    """

    app: bridge.WSGIApp
    body_limit: Callable[[Environ], int]
    is_read: Callable[[Environ], bool]
    is_upload: Callable[[Environ], bool]
    part: Callable[[], Path]
    feed: Feed
    traffic: Traffic
    threads: int
    logs_json: bool = False


class Front:
    """All connections of this process. All methods run in the event loop."""

    def __init__(self, site: Site, environs: Environs, loop: asyncio.AbstractEventLoop, most_connections: int) -> None:
        self.site, self.environs, self.loop = site, environs, loop
        self.ids = RequestIds()
        self.most_connections = most_connections
        self.connections: set[Connection] = set()
        self.slow: dict[Connection, None] = {}  # clients that read slowly, in the order in which they became slow
        self.no_body = Body()
        self.is_stopping = False
        self.access_log = AccessLog(loop, site.logs_json)
        self._memory, self._files = Budget(BODIES_BYTES), Budget(FILE_BODIES)
        self._read_lane = Lane("read", site.threads, QUEUE, loop)
        self._write_lane = Lane("write", site.threads, QUEUE, loop)  # a slow disk, or a lock, must not stop the reads
        self._upload_lane = Lane("upload", 2, UPLOAD_QUEUE, loop)  # decoding an upload may take long
        self._disk_lane = Lane("disk", 2, UNBOUNDED, loop)
        self._wait_lane = Lane("wait", 1, UNBOUNDED, loop)
        self._lanes = [self._read_lane, self._write_lane, self._upload_lane, self._disk_lane, self._wait_lane]
        self._streams = Streams(site.feed, self._wait_lane, loop)
        self._waits = Waits(site.feed, self._wait_lane, loop)
        site.feed.follow(lambda messages, position: loop.call_soon_threadsafe(self._publish, messages, position))
        self._timer = loop.call_later(CHECK_SECONDS, self._check)
        self._memory_due = loop.time() + MEMORY_SECONDS

    def is_full(self) -> bool:
        """True if no more connections are accepted."""
        return len(self.connections) > self.most_connections

    def is_busy(self) -> bool:
        """True while a thread works, or a result of its work has not come back."""
        return any(lane.is_busy() for lane in self._lanes)

    def body_for(self, environ: Environ) -> Body | Refusal | None:
        """Where to keep the body of a request; or None if the app refuses this request; or the refusal of the front."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if "HTTP_TRANSFER_ENCODING" in environ or length > self.site.body_limit(environ):
            return None
        if length > SMALL_BODY:
            if self._files.has_room(1):
                return FileBody(self.site.part(), self._disk_lane, self._files)
        elif self._memory.has_room(length):
            return MemoryBody(self._memory)
        return Refusal(503, "unavailable", FULL)

    def call_app(self, exchange: Exchange) -> None:
        """Let a thread call the app. If too many requests wait already, refuse this one at once."""
        environ = exchange.environ
        exchange.body.give_to(environ)
        environ[HAS_LEFT] = exchange.connection.client_has_left
        lane = self._read_lane if self.site.is_read(environ) else self._write_lane
        if self.site.is_upload(environ):
            lane = self._upload_lane
        if not lane.submit(partial(bridge.ask, self.site.app, environ), exchange.answer):
            exchange.answer(Refusal(503, "unavailable", "The service is busy: send this again in a moment."))

    def send(self, exchange: Exchange, answer: Answer) -> None:
        """Send an answer whose body is not just bytes."""
        body = answer.body
        if isinstance(body, Handover):
            exchange.send_claimed(answer, body)
        elif isinstance(body, Wait):
            exchange.sender = self._waits.add(exchange, body)
        elif isinstance(body, EventStream):
            exchange.keep_alive = False  # the end of the connection is the end of the stream
            exchange.write(exchange.head(answer))
            exchange.sender = self._streams.add(exchange, body)
        else:
            exchange.write(exchange.head(answer))
            exchange.sender = sender = FileSender(exchange, body, self._disk_lane)
            sender.resume()
        if self.is_stopping:
            exchange.stop()

    def drop(self, body: Any) -> None:
        """Close the body of an answer that cannot be sent. What was claimed is given back."""
        if hasattr(body, "close"):
            self._wait_lane.submit(body.close, lambda _: None)

    def limit_unsent(self) -> None:
        """Cut off those clients that have been slow for longest, until the unread answers fit into UNSENT_BYTES."""
        unsent = {connection: connection.unsent() for connection in self.slow}
        too_many = sum(unsent.values()) - UNSENT_BYTES
        for connection, size in unsent.items():
            if too_many <= 0:
                return
            too_many -= size
            connection.transport.abort()

    def stop(self) -> None:
        """Accept no more requests. Streams and waits end; a connection closes when its request is answered."""
        self.is_stopping = True
        for connection in list(self.connections):
            connection.stop()

    async def close(self, seconds: float) -> None:
        """Drop the connections that are left, and end the threads; wait at most these seconds.

        A result of one lane can be work for another: what was claimed for a client that is gone is given back, and the
        file of a body is deleted. So the lanes end together, when none of them has work.
        """
        self._timer.cancel()
        for connection in list(self.connections):
            connection.transport.abort()
        until = time.monotonic() + seconds
        while (self.connections or self.is_busy()) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for lane in self._lanes:
            lane.close()
        while any(lane.is_alive() for lane in self._lanes) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        self.access_log.flush()

    def _publish(self, messages: list[Message], position: int) -> None:
        self._streams.publish(messages, position)
        self._waits.publish(messages, position)

    def _count_open(self) -> None:
        """Publish how many connections, streams and waits are open, with the counts of the requests."""
        traffic = self.site.traffic
        traffic.open = {"connections": len(self.connections), "streams": len(self._streams), "waits": len(self._waits)}
        traffic.publish()

    def _check(self) -> None:
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)
        now = self.loop.time()
        for check in [connection.check for connection in self.connections] + [self._streams.beat]:
            try:
                check(now)
            except Exception:
                log.exception("a check of a connection failed")
        self.limit_unsent()
        self._count_open()
        if now >= self._memory_due:
            self._memory_due = now + MEMORY_SECONDS
            self._disk_lane.submit(give_back_memory, lambda _: None)
