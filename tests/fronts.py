"""Runs a front in the process of the test: its event loop in a thread, its clients over real sockets."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from flask import Flask

from access.shares import LOOPBACK, Clients
from maintenance.traffic import Traffic
from records.events import Follower, Message
from server.connections import Connections
from server.environ import Environs
from server.front import Front, Site
from server.http import Connection
from settings import Network
from tests.conftest import wait_for
from web import limits

Result = TypeVar("Result")
HOST = b"Host: 127.0.0.1\r\n"
BUFFER = 16 * 1024  # bytes that the system keeps for a client that does not read; it doubles them
EVENT = Message(1, "job-1", "job.created", "{}", "pending")


class StillFeed:
    """A feed without a database: it has only the events that a test publishes."""

    position = 0

    def __init__(self) -> None:
        self.followers: list[Follower] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A block in which the events are followed."""
        yield

    def follow(self, follower: Follower) -> None:
        """From now on, publish() calls this."""
        self.followers.append(follower)

    def publish(self) -> None:
        """Something has become pending."""
        for follower in self.followers:
            follower([EVENT], 1)


class RunningFront:
    """A front that serves a site on a free port."""

    def __init__(
        self,
        site: Site,
        environs: Environs,
        connections: Connections,
        connection: Callable[[Front], Connection],
    ) -> None:
        self.feed: Any = site.feed
        self.loop = uvloop.new_event_loop()
        self._clients = ExitStack()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.front = self.run(self._begin(site, environs, connections, connection))

    async def _begin(
        self,
        site: Site,
        environs: Environs,
        connections: Connections,
        connection: Callable[[Front], Connection],
    ) -> Front:
        front = Front(site, environs, self.loop, connections)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.port = listener.getsockname()[1]
        self._server = await self.loop.create_server(lambda: connection(front), sock=listener)
        return front

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine that runs in the loop of the front."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The result of a function that is called in the loop of the front."""

        async def call() -> Result:
            return function(*arguments)

        return self.run(call())

    def open(self, sent: bytes, address: str = "127.0.0.1") -> socket.socket:
        """A connection of a client at this address of this machine, which has sent these bytes and has read nothing."""
        client = self._clients.enter_context(socket.socket())
        client.settimeout(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        client.bind((address, 0))
        client.connect(("127.0.0.1", self.port))
        client.sendall(sent)
        return client

    def connection(self, client: socket.socket) -> Connection:
        """The connection of a client, on the side of the front."""
        port = client.getsockname()[1]

        def find() -> Connection | None:
            return next((one for one in self.front.connections if port_of(one) == port), None)

        return wait_for(lambda: self.call(find), 20)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Stop as a web process does, without waiting for requests; then end the loop."""
        self._clients.close()
        self._server.close()
        self.call(self.front.stop)
        self.run(self.front.close(1))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()


def port_of(connection: Connection) -> int:
    """The port of the client of a connection."""
    return int(connection.transport.get_extra_info("peername")[1])


@contextmanager
def serving(app: Callable[..., Any], **limited: Any) -> Iterator[RunningFront]:
    """A front that serves a WSGI app, without a database. limited: as for running()."""
    feed: Any = StillFeed()
    site = Site(app, lambda _: 1_000_000, limits.is_read, lambda _: False, Path, feed, Traffic(), 2)
    with running(site, **limited) as front:
        yield front


@contextmanager
def serving_flask(app: Flask, **limited: Any) -> Iterator[RunningFront]:
    """A front that serves the Flask app as a web process does. limited: as for running()."""
    services = app.extensions["ledger"]
    body_limit, is_upload = limits.body_limit(app, services.settings, services.access), partial(limits.is_upload, app)
    shared = (services.storage.part, services.feed, services.traffic)
    site = Site(app.wsgi_app, body_limit, limits.is_read, is_upload, *shared, limits.THREADS)
    with running(site, **limited) as front:
        yield front
        services.stopping.set()


@contextmanager
def running(
    site: Site,
    exempt: frozenset[Network] = LOOPBACK,
    proxies: frozenset[Network] = frozenset(),
    most: int = 1000,
    connection: Callable[[Front], Connection] = Connection,
) -> Iterator[RunningFront]:
    """A front that serves a site, and that is closed afterwards.

    exempt: the addresses that have no share of the limits. proxies: those whose X-Forwarded headers are believed. most:
    the connections that may be open. connection: makes the protocol of a connection.
    """
    front = RunningFront(site, Environs(0, proxies), Connections(most, Clients(exempt)), connection)
    try:
        yield front
    finally:
        front.close()


def get(path: str = "/") -> bytes:
    """The head of a GET."""
    return b"GET %s HTTP/1.1\r\n%s\r\n" % (path.encode(), HOST)


def post(path: str, body: bytes) -> bytes:
    """A POST of JSON."""
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return b"POST %s HTTP/1.1\r\n%s%s" % (path.encode(), HOST, kind + body)


def rest(client: socket.socket) -> bytes:
    """All that comes until the front closes or cuts the connection."""
    parts: list[bytes] = []
    with suppress(ConnectionResetError):
        parts.extend(iter(lambda: client.recv(65536), b""))
    return b"".join(parts)
