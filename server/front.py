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

from access.shares import Limit
from errors import Busy
from maintenance.traffic import RequestIds, Traffic
from records.events import Feed, Message
from records.handover import Handover
from records.streams import EventStream
from records.waits import HAS_LEFT, Wait
from server import bridge
from server.answers import Answer, Refusal, refusal
from server.bodies import Body, FileBody, MemoryBody
from server.connections import Connections
from server.environ import Environ, Environs
from server.exchange import Exchange
from server.lanes import Lane
from server.logs import AccessLog
from server.memory import give_back_memory
from server.streams import Streams
from server.transfers import FileSender
from server.waits import Waits

log = logging.getLogger("ledger.web")

REQUESTS = 1000  # reads that the app works on or that wait for a thread, and the same number of writes
FILE_BODIES = 500  # bodies that may be in files at the same time
UPLOADS = 64  # complete uploads that are being decoded or wait for it
SMALL_BODY = 1024 * 1024  # a longer body is written to a file
BODIES_BYTES = 64 * 1024 * 1024  # all bodies in memory together
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

    def __init__(
        self, site: Site, environs: Environs, loop: asyncio.AbstractEventLoop, connections: Connections
    ) -> None:
        self.site, self.environs, self.loop, self.connections = site, environs, loop, connections
        self.clients = connections.clients
        self.ids = RequestIds()
        self.no_body = Body()
        self.is_stopping = False
        self.access_log = AccessLog(loop, site.logs_json)
        self._memory, self._files = Limit(BODIES_BYTES, "request bodies"), Limit(FILE_BODIES, "uploads")
        self._reads, self._writes = Limit(REQUESTS, "requests"), Limit(REQUESTS, "requests")
        self._uploads = Limit(UPLOADS, "uploads")
        self._read_lane = Lane("read", site.threads, loop)
        self._write_lane = Lane("write", site.threads, loop)  # a slow disk, or a lock, must not stop the reads
        self._upload_lane = Lane("upload", 2, loop)  # decoding an upload may take long
        self._disk_lane = Lane("disk", 2, loop)
        self._wait_lane = Lane("wait", 1, loop)
        self._lanes = [self._read_lane, self._write_lane, self._upload_lane, self._disk_lane, self._wait_lane]
        self._streams = Streams(site.feed, self._wait_lane, loop)
        self._waits = Waits(site.feed, self._wait_lane, loop)
        site.feed.follow(lambda messages, position: loop.call_soon_threadsafe(self._publish, messages, position))
        self._timer = loop.call_later(CHECK_SECONDS, self._check)
        self._memory_due = loop.time() + MEMORY_SECONDS

    def is_busy(self) -> bool:
        """True while a thread works, or a result of its work has not come back."""
        return any(lane.is_busy() for lane in self._lanes)

    def body_for(self, environ: Environ, client: str) -> Body | Refusal | None:
        """Where to keep the body of a request; or None if the app refuses this request; or the refusal of the front."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if "HTTP_TRANSFER_ENCODING" in environ or length > self.site.body_limit(environ):
            return None
        try:
            if length > SMALL_BODY:
                return FileBody(self.site.part(), self._disk_lane, self._files, client)
            self._memory.check(client, length)
            return MemoryBody(self._memory, client)
        except Busy as error:
            return refusal(error)

    def call_app(self, exchange: Exchange) -> None:
        """Let a thread call the app. If too many requests are under way already, refuse this one at once."""
        environ = exchange.environ
        exchange.body.give_to(environ)
        environ[HAS_LEFT] = exchange.connection.client_has_left
        lane, places = self._read_lane, self._reads
        if not self.site.is_read(environ):
            lane, places = self._write_lane, self._writes
        if self.site.is_upload(environ):
            lane, places = self._upload_lane, self._uploads
        try:
            places.take(exchange.client)
        except Busy as error:
            exchange.answer(refusal(error))
            return
        lane.submit(partial(bridge.ask, self.site.app, environ), partial(_end_call, exchange, places))

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
        self.connections.limit_unsent()
        self.connections.make_room()
        self._count_open()
        if now >= self._memory_due:
            self._memory_due = now + MEMORY_SECONDS
            self._disk_lane.submit(give_back_memory, lambda _: None)


def _end_call(exchange: Exchange, places: Limit, answer: Any) -> None:
    """Send what a thread has answered; the next request may use its place."""
    places.give_back(exchange.client)
    exchange.answer(answer)
