"""Generates load in a process of its own: many connections, each of which sends its next request after a response.

The requests are prepared or easy to build, and it reads only the status and the length of a response. So it needs less
CPU time for a request than any server in Python.
"""

import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parent))

from operations import OPERATIONS, Operation, Requests  # noqa: E402

LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
BUFFER = 64 * 1024
SILENCE_SECONDS = 60


class Run:
    """One run: when it began, when it is over, and how long each operation took."""

    def __init__(self, operation: Operation, seconds: float) -> None:
        self.operation = operation
        self.began = time.perf_counter()
        self.until = self.began + seconds
        self.ended = self.began  # when the last operation in time ended
        self.taken: list[float] = []
        self.in_time = 0  # operations

    def rate(self) -> float:
        """Operations a second. Operations that end too late do not count, unless all end too late."""
        if self.in_time:
            return self.in_time / (self.ended - self.began)
        return len(self.taken) / (time.perf_counter() - self.began)


class Connection:
    """One connection. It has at most one request under way."""

    def __init__(self, port: int, requests: Requests) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests, self.received, self.answered = requests, b"", 0
        self.sent_at = 0.0

    def start(self) -> None:
        """Send the first request."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(next(self.requests))

    def read(self, run: Run) -> bool:
        """Read what has arrived; if the response is complete, send the next request. False at the end."""
        data = self.socket.recv(BUFFER)
        if not data:
            sys.exit("the server closed the connection")
        if self.received:
            data = self.received + data
        body = complete_body(data, run.operation.status)
        if body is None:
            self.received = data
            return True
        self.received = b""
        return self._next(run, body)

    def _next(self, run: Run, body: bytes) -> bool:
        now, self.answered = time.perf_counter(), self.answered + 1
        if self.answered % run.operation.requests == 0:
            run.taken.append(now - self.sent_at)
            self.sent_at = now
            if now > run.until:
                return False
            run.ended, run.in_time = now, run.in_time + 1
        try:
            self.socket.sendall(self.requests.send(body))
        except StopIteration:
            return False
        return True


def complete_body(data: bytes, status: bytes) -> bytes | None:
    """The body of a response; None if it is not complete. A status that is not expected ends the program."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    if data[9:12] != status:
        sys.exit(f"expected status {status.decode()}: {data[:600]!r}")
    length = LENGTH.search(data, 0, end + 2)
    size = int(length[1]) if length and status not in (b"204", b"304") else 0
    return data[end + 4 :] if len(data) >= end + 4 + size else None


class Client:
    """One connection that sends one request after another, and accepts any status that is not an error."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """The body of the response. A status of 400 or more ends the program."""
        self.socket.sendall(request)
        received, body = b"", None
        while body is None:
            data = self.socket.recv(BUFFER)
            received += data
            if not data or received[9:10] > b"3":
                sys.exit(f"{request[:200]!r}: {received[:600]!r}")
            body = complete_body(received, received[9:12])
        return body

    def milliseconds(self, request: bytes) -> float:
        """How long a request takes."""
        began = time.perf_counter()
        self.ask(request)
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


def drive(connections: list[Connection], run: Run) -> None:
    """Send and receive until the time is over, or until there are no more requests."""
    poller, by_file = select.epoll(), {connection.socket.fileno(): connection for connection in connections}
    for number, connection in by_file.items():
        poller.register(number, select.EPOLLIN)
        connection.start()
    active = len(connections)
    while active:
        ready = poller.poll(SILENCE_SECONDS)
        if not ready:
            sys.exit("no response came")
        for number, _ in ready:
            if not by_file[number].read(run):
                poller.unregister(number)
                active -= 1


def generate(task: dict[str, Any]) -> dict[str, float]:
    """Run one task. Returns operations per second, the median and p99 in milliseconds, and the numbers used."""
    operation = OPERATIONS[task["operation"]]
    numbers = iter(range(task["first"], task["first"] + task["count"]))
    scripts = [operation.make(numbers, task["values"]) for _ in range(task["connections"])]
    connections = [Connection(task["port"], script) for script in scripts]
    run = Run(operation, task["seconds"])
    drive(connections, run)
    left = next(numbers, task["first"] + task["count"])
    taken = sorted(run.taken)
    return {
        "rate": run.rate(),
        "p50": taken[len(taken) // 2] * 1000,
        "p99": taken[int(len(taken) * 0.99)] * 1000,
        "used": left - task["first"],
    }


def load(task: dict[str, Any], cores: Collection[int]) -> dict[str, float]:
    """Generate load in a new process on these cores."""
    process = subprocess.run(
        [sys.executable, __file__, json.dumps(task)],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if process.returncode:
        sys.exit(f"{task['name']}: {task['operation']} failed")
    return cast(dict[str, float], json.loads(process.stdout))


if __name__ == "__main__":
    json.dump(generate(json.loads(sys.argv[1])), sys.stdout)
