"""The web process: an event loop that serves until SIGTERM."""

import asyncio
import resource
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvloop

from access.shares import LOOPBACK, Clients
from files.child import remember_cores
from server import stop
from server.address import BACKLOG
from server.affinity import pin_to_core
from server.connections import Connections
from server.environ import Environs
from server.front import Front, Site
from server.http import Connection
from server.memory import share_arenas
from settings import Settings

STOP_SECONDS = 5.0  # for the requests that are under way
JOIN_SECONDS = 1.0
MOST_CONNECTIONS = 10_000
FILES_PER_CONNECTION = 1.5  # some connections also have an open file: a download, or the body of an upload


def prepare(settings: Settings) -> socket.socket | None:
    """Prepare this process to serve: its core, its signals and its memory. Keep the result as long as it runs."""
    stop.end_with_parent()
    share_arenas()
    if not settings.pin_web_process:
        return None
    remember_cores()  # for encoders
    return pin_to_core(settings.port)


def run(listener: socket.socket, settings: Settings, site: Site, stopping: threading.Event) -> None:
    """Serve until SIGTERM. Then stopping is set, and the requests under way are answered."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listener, settings, site, stopping.set))


async def _serve(listener: socket.socket, settings: Settings, site: Site, stopping: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    connections = Connections(_most_connections(), Clients(settings.proxy_networks | LOOPBACK))
    front = Front(site, Environs(settings.port, settings.proxy_networks, settings.scheme), loop, connections)
    must_stop = asyncio.Event()
    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(must_stop.set))
    server = await loop.create_server(_connection_factory(front, settings), sock=listener, backlog=BACKLOG)
    await must_stop.wait()
    stopping()
    server.close()
    front.stop()
    until = loop.time() + STOP_SECONDS
    while front.connections and loop.time() < until:
        await asyncio.sleep(0.02)
    await front.close(JOIN_SECONDS)


def _connection_factory(front: Front, settings: Settings) -> Callable[[], Connection]:
    """Makes the protocol of each connection: with TLS if the settings have a certificate."""
    if not settings.tls_cert:
        return partial(Connection, front)
    from server import tls  # imported here, because most services have no certificate of their own

    return partial(tls.SecureConnection, front, tls.certificate_of(settings))


def _most_connections() -> int:
    """The connections that may be open: as many as the system allows, after raising its limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = int(MOST_CONNECTIONS * FILES_PER_CONNECTION)
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            soft = needed
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, int(soft / FILES_PER_CONNECTION))
