"""Holds many clients in one process, for bench/front.py. It answers the questions that come on stdin."""

import asyncio
import json
import re
import socket
import sqlite3
import statistics
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop
from service import allow_many_files

AT_ONCE = 100  # connections that are being opened
BODY_BYTES = 1000
EVENT = re.compile(rb"id: (\d+)\n(?:event: [^\n]*\ndata: ([^\n]*)\n)?\n")
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends a reset


class Client(asyncio.Protocol):
    """One client. It sends a request, and counts what it gets."""

    transport: asyncio.Transport

    def __init__(self, request: str, body: bytes = b"") -> None:
        self.request = f"{request}\r\nHost: localhost\r\n".encode() + body
        self.head, self.received, self.is_lost = b"", 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Remember the first line of the answer."""
        self.head, self.received = (self.head + data)[:20], self.received + len(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The server has ended the connection."""
        self.is_lost = True

    @property
    def status(self) -> str:
        """The status of its answer; empty before."""
        return self.head[9:12].decode()


class Silent(Client):
    """A client that reads nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request, and stop reading."""
        super().connection_made(transport)
        self.transport.pause_reading()


class Refusable(Client):
    """A client that goes as soon as it has an answer."""

    def data_received(self, data: bytes) -> None:
        """The answer is a refusal."""
        super().data_received(data)
        self.transport.abort()


class Stream(Client):
    """An event stream: when each event arrived, and the commit times that the events name."""

    def __init__(self) -> None:
        super().__init__("GET /api/events HTTP/1.1", b"\r\n")
        self.left, self.start = b"", -1
        self.ids: list[int] = []
        self.arrived: list[float] = []

    def data_received(self, data: bytes) -> None:
        """Split the events."""
        super().data_received(data)
        now = time.time()
        whole, mark, self.left = (self.left + data).rpartition(b"\n\n")
        for number, record in EVENT.findall(whole + mark):
            if record:
                self.ids.append(int(number))
                self.arrived.append(now)
            else:
                self.start = int(number)


class DeafStream(Stream):
    """An event stream that reads nothing before the end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request, and stop reading."""
        super().connection_made(transport)
        self.transport.pause_reading()


WAIT = "GET /api/jobs/one HTTP/1.1\r\nPrefer: wait=60"
CLAIM = json.dumps({"worker": "bench", "wait": 30, "job_types": ["none"]})
TYPE = "Content-Type: application/json"
KINDS: dict[str, Callable[[], Client]] = {
    "streams": Stream,
    "deaf": DeafStream,
    "slow": lambda: Refusable(f"POST /api/jobs HTTP/1.1\r\n{TYPE}\r\nContent-Length: {BODY_BYTES}", b"\r\n"),
    "stalled": lambda: Silent("GET /api/tracks/one/audio HTTP/1.1", b"\r\n"),
    "waits": lambda: Client(WAIT, b"\r\n"),
    "claims": lambda: Client(
        f"POST /api/jobs/claim HTTP/1.1\r\n{TYPE}\r\nContent-Length: {len(CLAIM)}", f"\r\n{CLAIM}".encode()
    ),
    "idle": lambda: Client("GET /healthz HTTP/1.1", b"\r\n"),
    "halves": lambda: Refusable("GET /healthz HTTP/1.1"),
    "resets": lambda: Client("GET /api/jobs/one HTTP/1.1", b"\r\n"),
}


async def hold(task: dict[str, Any]) -> None:
    """Open all clients, answer the questions from stdin, and close everything at its end."""
    clients = Crowd(task)
    await asyncio.gather(
        *(clients.open(kind) for kind in KINDS if kind in task and kind != "resets" for _ in range(task[kind]))
    )
    await asyncio.sleep(1)  # the last streams get their first event id
    loop = asyncio.get_running_loop()
    background = [asyncio.create_task(clients.drip()), asyncio.create_task(clients.reset())]
    while question := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await clients.report() if question == "report\n" else {}), flush=True)
    for activity in background:
        activity.cancel()


class Crowd:
    """All clients that this process holds."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.clients: dict[str, list[Any]] = {kind: [] for kind in KINDS if kind in task and kind != "resets"}
        self.reopened: Counter[str] = Counter()
        self.failed = self.resets = 0
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def open(self, kind: str) -> Client | None:
        """Connect one more client."""
        loop = asyncio.get_running_loop()
        async with self._gate:
            connection = socket.socket()
            connection.setblocking(False)
            if kind in ("deaf", "stalled"):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                await loop.sock_connect(connection, ("127.0.0.1", self.task["port"]))
                _, client = await loop.create_connection(KINDS[kind], sock=connection)
            except OSError:
                self.failed += 1
                connection.close()
                return None
        self.clients[kind].append(client)
        return client

    async def drip(self) -> None:
        """Every second, send a byte of each slow body, and replace the connections that the server has ended."""
        while True:
            await asyncio.sleep(1)
            for client in self.clients.get("slow", []):
                if not client.is_lost:
                    client.transport.write(b" ")
            for kind in {"slow", "halves"} & self.clients.keys():
                lost = [client for client in self.clients[kind] if client.is_lost]
                self.reopened.update(f"{kind} {client.status or 'without answer'}" for client in lost)
                self.clients[kind] = [client for client in self.clients[kind] if not client.is_lost]
                await asyncio.gather(*(self.open(kind) for _ in lost))

    async def reset(self) -> None:
        """Open connections and reset them, within about ten seconds; half of them after a whole request."""
        wanted = self.task.get("resets", 0)
        for _ in range(0, wanted, 50):
            pause = asyncio.create_task(asyncio.sleep(500 / wanted))
            await asyncio.gather(*(self._reset_one(number % 2 == 0) for number in range(min(50, wanted))))
            await pause

    async def _reset_one(self, sends: bool) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                await loop.sock_connect(connection, ("127.0.0.1", self.task["port"]))
                if sends:
                    await loop.sock_sendall(connection, KINDS["resets"]().request)
                self.resets += 1
            except OSError:
                self.failed += 1

    async def report(self) -> dict[str, Any]:
        """What became of the clients. Silent streams read now."""
        for client in self.clients.get("deaf", []):
            client.transport.resume_reading()
        await asyncio.sleep(3)
        statuses = {
            kind: dict(Counter(f"{client.status}{' ended' * client.is_lost}" for client in clients))
            for kind, clients in self.clients.items()
        }
        report: dict[str, Any] = {"clients": statuses, "reopened": self.reopened, "failed": self.failed}
        if self.resets:
            report["resets"] = self.resets
        return report | (self._report_streams() if "deaf" in self.clients else {})

    def _report_streams(self) -> dict[str, Any]:
        """How many streams got every event once and in order; how long after the commits."""
        folder = Path(self.task["folder"])
        events = rows(folder, "SELECT event_id, created_at FROM event ORDER BY event_id")
        committed = {number: moment / 1_000_000 for number, moment in events}
        streams = cast(list[Stream], self.clients["streams"])
        late = sorted(
            (arrived - committed[number]) * 1000
            for stream in streams
            for number, arrived in zip(stream.ids, stream.arrived, strict=True)
            if number in committed
        ) or [0.0]
        return {
            "late_ms": (statistics.median(late), late[int(len(late) * 0.95)]),
            "events": len(streams[0].ids),
            "wrong": sum(not stream_is_right(stream, list(committed)) for stream in streams),
            "wrong_deaf": sum(not stream_is_right(stream, list(committed)) for stream in self.clients["deaf"]),
        }


def stream_is_right(stream: Stream, committed: list[int]) -> bool:
    """True if a stream got every event after its start once, in order."""
    return stream.start >= 0 and stream.ids == [number for number in committed if number > stream.start]


def rows(folder: Path, query: str, *values: Any) -> list[Any]:
    """The rows of a query, by a connection of its own."""
    with sqlite3.connect(f"file:{folder}/b.db?mode=ro", uri=True) as connection:
        result = connection.execute(query, values).fetchall()
    connection.close()
    return result


if __name__ == "__main__":
    allow_many_files()
    uvloop.run(hold(json.loads(sys.argv[1])))
