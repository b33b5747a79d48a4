"""HTTP/1.1 on one connection: reads requests, sends the answers in order, and ends what takes too long."""

import asyncio
import math
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import httptools

from server.answers import Refusal
from server.bodies import LEAST_RATE
from server.environ import BadRequest, HeaderLine
from server.exchange import Exchange

if TYPE_CHECKING:
    from server.front import Front

MAX_HEAD_BYTES, MAX_HEADERS = 64 * 1024, 100
MAX_PIPELINED = 32  # requests that a client may send before it has read the first answer; each takes up to 4 KB
HEAD_SECONDS = 10.0
IDLE_SECONDS = 75.0
STALL_SECONDS = 60.0  # a client that reads nothing for so long is dropped
DRAIN_SECONDS, DRAIN_BYTES = 5.0, 64 * 1024 * 1024  # what is read and ignored after a refusal


class Connection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, front: "Front") -> None:
        self.front = front
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.peer = ""
        self.is_writable = True
        self.has_left = False  # the client has closed its end, or the connection is lost
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()  # the first one is being answered or its body is being read
        self._reading: Exchange | None = None  # the exchange whose body is being read
        self._ignores_input = False  # what the client sends from now on is ignored
        self._is_paused = False
        self._head_bytes = self._pipelined_bytes = 0  # of this head; of requests that wait for an answer
        self._refusal = Refusal(400, "invalid", "The request cannot be read: it breaks the rules of HTTP/1.1.")
        self.since = front.loop.time()  # when the present state began: head, idle, blocked, or draining
        self._in_head, self._is_draining = True, False
        self._body_left = 0  # bytes that are missing of the body of a request with Upgrade
        self._unsent = math.inf  # bytes in the buffer of the transport at the last check; inf before
        self._url, self._headers, self._size = b"", cast(list[HeaderLine], []), 0

    # The events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the client."""
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0].removeprefix("::ffff:") if peer else ""  # a socket for IPv6 shows IPv4 clients so
        refusal = self.front.connections.add(self)
        if refusal is not None:
            self._refuse(refusal)

    def connection_lost(self, error: Exception | None) -> None:
        """End everything that was being done for this client."""
        self.front.connections.remove(self)
        self._leave()
        self._abandon_exchanges()
        del self._parser  # it refers to this connection, so both would wait for the garbage collector

    def eof_received(self) -> bool:
        """The client sends no more. It may still read, so a request that is complete is answered."""
        self._leave()
        if self._reading is not None:
            self._stop_reading(self._reading)
        elif not self._exchanges:
            self.transport.close()
        return True

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        if self._ignores_input or self._body_left:
            (self._read_last_body if self._body_left else self._ignore)(data)
            return
        if self._exchanges and self._exchanges[0] is not self._reading:
            self._pipelined_bytes += len(data)
        if not self._in_head and self._reading is None:
            self._in_head, self.since, self._head_bytes = True, self.front.loop.time(), 0
        self._parse(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(Refusal(431, "invalid", f"The head of a request may have {MAX_HEAD_BYTES} bytes."))
        if len(self._exchanges) > MAX_PIPELINED // 2 or self._pipelined_bytes > MAX_HEAD_BYTES:
            self.pause(True)

    def pause_writing(self) -> None:
        """The client reads more slowly than the server sends."""
        self.is_writable = False
        self._unsent, self.since = self.unsent(), self.front.loop.time()
        self.front.connections.has_become_slow(self)

    def resume_writing(self) -> None:
        """The client has read most of what was sent."""
        self.is_writable = True
        self._unsent, self.since = math.inf, self.front.loop.time()
        self.front.connections.slow.pop(self, None)
        self._start_first()
        if self._exchanges:
            self._exchanges[0].resume()

    # The events of the parser. An exception from them becomes an HttpParserError.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._headers, self._size = b"", [], 0
        if len(self._exchanges) > MAX_PIPELINED:
            self._reject(429, f"Read the answers first: {MAX_PIPELINED} requests have no answer yet.")

    def on_url(self, url: bytes) -> None:
        """A part of the target of the request."""
        self._url += url
        if len(self._url) > MAX_HEAD_BYTES:
            self._reject(414, f"The target of a request may have {MAX_HEAD_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name, value))
        self._size += len(name) + len(value)
        if len(self._headers) > MAX_HEADERS or self._size > MAX_HEAD_BYTES:
            self._reject(431, f"A request may have {MAX_HEADERS} headers with {MAX_HEAD_BYTES} bytes in all.")

    def on_headers_complete(self) -> None:
        """The head is complete: decide whether to read the body."""
        if self._ignores_input:
            return
        parser = self._parser
        method, version = parser.get_method().decode(), parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._reject(505, "This service supports HTTP/1.0 and HTTP/1.1.")
        try:
            environ = self.front.environs.make(method, version, self._url, self._headers, self.peer)
        except BadRequest as error:
            self._reject(400, str(error))
        exchange = Exchange(self, environ, self.front)
        exchange.keep_alive = version == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        self._exchanges.append(exchange)
        self._in_head = False
        if not exchange.expects_body:
            return
        if not exchange.accept_body():
            self._ignores_input, exchange.keep_alive = True, False
            self._start_first()
            return
        self._reading = exchange
        if parser.should_upgrade():  # the parser does not read this body
            self._body_left = int(environ["CONTENT_LENGTH"])
        if exchange is self._exchanges[0]:
            exchange.invite_body()

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if self._reading is not None and not self._reading.body.add(data):
            self._reading.ready = self._reading.body.refusal
            self._stop_reading(self._reading)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._body_left:
            return
        if self._reading is not None:
            exchange, self._reading = self._reading, None
            exchange.body.end(self._start_first)
        elif self._exchanges and not self._ignores_input:
            self._start_first()

    # What the exchanges and the front call

    def write(self, data: bytes) -> None:
        """Send these bytes as soon as the client reads them."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def client_has_left(self) -> bool:
        """True if the client has closed its end. May be called in any thread."""
        return self.has_left

    def finished(self, exchange: Exchange) -> None:
        """The answer of the first exchange has been written: start the next exchange, or close the connection."""
        if not self._exchanges or self._exchanges[0] is not exchange:
            return
        self._exchanges.popleft()
        if not exchange.keep_alive or self.has_left or self.front.is_stopping:
            self._close()
            return
        self.since = self.front.loop.time()
        if self._exchanges:
            following = self._exchanges[0]
            if following is self._reading:
                following.invite_body()
            else:
                self._start_first()
        if len(self._exchanges) <= 1:
            self._pipelined_bytes = 0
            self.pause(False)

    def pause(self, paused: bool) -> None:
        """Stop or go on reading what the client sends."""
        if paused != self._is_paused and not self.transport.is_closing():
            self._is_paused = paused
            (self.transport.pause_reading if paused else self.transport.resume_reading)()

    def stop(self) -> None:
        """Accept no more requests: close the connection after the present answer."""
        if self._exchanges and self._exchanges[0] is not self._reading:
            self._exchanges[0].stop()
        else:
            self._close()

    def check(self, now: float) -> None:
        """End the connection if the client takes too long. Called once a second."""
        if not self.is_writable or self.transport.is_closing():
            self._check_unsent(now)
        elif self._reading is not None:
            self._check_body(self._reading)
        elif now - self.since > self._time_limit():
            self._time_out()

    @property
    def is_idle(self) -> bool:
        """True if the client has no request except, perhaps, a part of a head."""
        return not self._exchanges and not self._is_draining and not self.transport.is_closing()

    @property
    def client(self) -> str:
        """The client whose request is being answered; '' if no share is counted for it."""
        return self._exchanges[0].client if self._exchanges else self.front.clients.of(self.peer)

    def unsent(self) -> int:
        """The bytes that wait in memory until this client reads."""
        return self.transport.get_write_buffer_size()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as end_of_head:  # the upgrade is ignored; the body follows
            self._read_last_body(data[end_of_head.args[0] :])
        except httptools.HttpParserError:
            self._refuse(self._refusal)

    def _time_limit(self) -> float:
        """The seconds that the present state may take."""
        if self._is_draining:
            return DRAIN_SECONDS
        if self._in_head and not self._is_paused:
            return HEAD_SECONDS
        return math.inf if self._exchanges else IDLE_SECONDS

    def _time_out(self) -> None:
        if self._is_draining:
            self.transport.abort()
        elif self._in_head and self._head_bytes:
            detail = f"The head of a request must arrive within {HEAD_SECONDS:.0f} seconds."
            self._refuse(Refusal(408, "invalid", detail))
        else:
            self.transport.close()

    def _check_unsent(self, now: float) -> None:
        unsent = self.unsent()
        if unsent < self._unsent:
            self._unsent, self.since = unsent, now
        elif now - self.since > STALL_SECONDS:
            self.transport.abort()

    def _check_body(self, exchange: Exchange) -> None:
        if exchange.body.is_too_slow(exchange is not self._exchanges[0]):
            detail = f"The body must arrive with at least {LEAST_RATE} bytes a second: send it again."
            exchange.ready = Refusal(408, "invalid", detail)
            self._stop_reading(exchange)

    def _stop_reading(self, exchange: Exchange) -> None:
        """Read no more from this client; answer the request with the part of the body that has arrived."""
        self._reading, self._ignores_input, exchange.keep_alive = None, True, False
        exchange.body.end(self._start_first)

    def _start_first(self) -> None:
        """Start the first exchange if its body is complete, and if the client has read the answers before it."""
        if self._exchanges and self._exchanges[0] is not self._reading and self.is_writable:
            self._exchanges[0].start()

    def _reject(self, status: int, detail: str) -> None:
        """Stop the parser; then data_received() refuses the request."""
        self._refusal = Refusal(status, "invalid", detail)
        raise BadRequest(detail)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that cannot be read, after the ones before it; then close."""
        if self._ignores_input:
            return
        self._ignores_input, self._in_head = True, False
        environ: dict[str, Any] = {"REQUEST_METHOD": "-", "PATH_INFO": "-", "REMOTE_ADDR": self.peer}
        exchange = Exchange(self, environ, self.front)
        exchange.ready, exchange.keep_alive = refusal, False
        if self._reading is not None:  # the rest of its body cannot be read
            self._exchanges.remove(self._reading)
            self._reading.abandon()
            self._reading = None
        self._exchanges.append(exchange)
        self._start_first()

    def _read_last_body(self, data: bytes) -> None:
        """Read the body of a request with Upgrade; it is the last request of its connection."""
        part = data[: self._body_left]
        self._body_left -= len(part)
        if part:
            self.on_body(part)
        if not self._body_left:
            self.on_message_complete()
            self._ignores_input = True

    def _ignore(self, data: bytes) -> None:
        """Ignore what the client sends after a request that was refused."""
        self._head_bytes += len(data)
        if self._head_bytes > DRAIN_BYTES:
            self.transport.abort()

    def _leave(self) -> None:
        if not self.has_left:
            self.has_left = True
            if self._exchanges:
                self._exchanges[0].left()

    def _abandon_exchanges(self) -> None:
        for exchange in self._exchanges:
            exchange.abandon()
        self._exchanges.clear()
        self._reading = None

    def _close(self) -> None:
        """Close the connection when all is sent.

        If the client may still be sending, first read what it sends: otherwise the system would reset the connection,
        and the client might lose the answer.
        """
        ignored_input, self._ignores_input = self._ignores_input, True
        self._abandon_exchanges()
        if self.has_left or not ignored_input:
            self.transport.close()
            return
        self._is_draining, self.since, self._head_bytes = True, self.front.loop.time(), 0
        self.pause(False)
        with suppress(OSError, RuntimeError):
            self.transport.write_eof()
