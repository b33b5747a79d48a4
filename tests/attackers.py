"""Slow clients of every kind, all from one address, in a process of their own: for tests/test_attack.py."""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

UPLOAD_BYTES = 1_100_000
MOST_AT_ONCE = 100  # connections that are being opened
MOST_REPLACED = 200  # clients that connect again in a second, after the service has ended their connection
HEAD = "{}\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"


class Kind(NamedTuple):
    """One kind of slow client: what it sends at once, and every second; and whether it reads the answer."""

    first: bytes
    more: bytes = b""
    reads: bool = True


def request(line: str, *headers: str) -> bytes:
    """The head of a request with the token."""
    return (HEAD.format(line) + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode()


STREAM = request("GET /api/events HTTP/1.1")
UPLOAD = request("PUT /api/tracks/t/audio?format=wav HTTP/1.1", f"Content-Length: {UPLOAD_BYTES}")
KINDS = {
    "heads": Kind(HEAD.format("GET /healthz HTTP/1.1").encode(), b"X"),
    "bodies": Kind(request("POST /api/jobs HTTP/1.1", "Content-Length: 60000"), b" "),
    "answers": Kind(request("GET /api/tracks/t/audio HTTP/1.1"), reads=False),
    "kept": Kind(request("GET /healthz HTTP/1.1")),
    "streams": Kind(STREAM),
    "deaf": Kind(STREAM, reads=False),
    "uploads": Kind(UPLOAD + bytes(UPLOAD_BYTES // 2), bytes(1200)),
}


class Attacker(asyncio.Protocol):
    """One client. It leaves when it is refused."""

    def __init__(self, kind: Kind, statuses: "Counter[str]") -> None:
        self.kind, self.statuses, self.is_lost = kind, statuses, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first bytes."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.kind.first)
        if not self.kind.reads:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Count the status of an answer."""
        if data.startswith(b"HTTP/1.1 "):
            self.statuses[data[9:12].decode()] += 1
            if data[9:10] != b"2":
                self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Another client will come instead."""
        self.is_lost = True


async def attack(task: dict[str, Any]) -> None:
    """Keep these numbers of clients connected until the end of stdin; then print what they were answered."""
    loop, gate, statuses = asyncio.get_running_loop(), asyncio.Semaphore(MOST_AT_ONCE), Counter[str]()
    clients: list[Attacker] = []

    async def connect(kind: Kind) -> None:
        async with gate:
            connection = socket.socket()
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096 if not kind.reads else 65536)
            connection.bind((task["address"], 0))
            try:
                await loop.sock_connect(connection, (task["host"], task["port"]))
            except OSError:
                connection.close()
                statuses["no connection"] += 1
            else:
                clients.append((await loop.create_connection(lambda: Attacker(kind, statuses), sock=connection))[1])

    async def go_on() -> None:
        await asyncio.gather(*(connect(KINDS[name]) for name, number in task["numbers"].items() for _ in range(number)))
        print("ready", flush=True)
        while True:
            await asyncio.sleep(1)
            lost = [client for client in clients if client.is_lost][:MOST_REPLACED]
            clients[:] = [client for client in clients if client not in lost]
            for client in clients:
                if client.kind.more and not client.is_lost:
                    client.transport.write(client.kind.more)
            await asyncio.gather(*(connect(client.kind) for client in lost))

    going_on = asyncio.create_task(go_on())
    await loop.run_in_executor(None, sys.stdin.read)
    going_on.cancel()
    print(json.dumps(statuses), flush=True)


@contextmanager
def attacking(address: str, host: str, port: int, numbers: dict[str, int]) -> Iterator["Counter[str]"]:
    """A block in which these clients are connected. Afterwards, the result has the numbers of their answers."""
    task = json.dumps({"address": address, "host": host, "port": port, "numbers": numbers})
    statuses: Counter[str] = Counter()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.attackers", task],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield statuses
        finally:
            output, _ = process.communicate()
        statuses.update(json.loads(output))


if __name__ == "__main__":
    os.nice(10)  # they would be on other machines
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(attack(json.loads(sys.argv[1])))
