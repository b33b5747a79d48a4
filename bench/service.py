"""Starts the servers that are measured, each on a free port, and sends requests to them."""

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
Request = tuple[str, str, str | None]  # method, path, body


@dataclass(frozen=True)
class Service:
    """A running server: its port, the id of its first process, and the seconds it took until it answered."""

    port: int
    pid: int
    start_seconds: float


@contextmanager
def serving(
    folder: Path, python: str | Path = sys.executable, script: str = "app.py", **more: str
) -> Iterator[Service]:
    """Run python app.py without workers during the block. Its files are in this folder."""
    port = free_port()
    settings = {"PORT": str(port), "DB_PATH": str(folder / "b.db"), "STORAGE_DIR": str(folder / "output")}
    with running([str(python), script], port, {**settings, "WORKERS": "0", **more}) as service:
        yield service


@contextmanager
def running(
    command: list[str], port: int, environment: dict[str, str], cores: Collection[int] | None = None
) -> Iterator[Service]:
    """Run a server during the block, on these cores or on all."""
    allowed, whole = cores or os.sched_getaffinity(0), {**os.environ, **environment}
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=whole,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    try:
        wait_until_it_answers(port, process)
        yield Service(port, process.pid, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until /healthz answers. End the program if the server has ended, or after 20 seconds."""
    until = time.perf_counter() + 20
    while process.poll() is None and time.perf_counter() < until:
        try:
            return send(port, ("GET", "/healthz", None))
        except OSError:
            time.sleep(0.01)
    sys.exit("the server did not start")


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def exchange(connection: http.client.HTTPConnection, request: Request) -> None:
    """Send one request and read its answer. An error ends the program."""
    method, url, body = request
    connection.request(method, url, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400:
        sys.exit(f"{method} {url}: {answer.status} {text!r}")


def send(port: int, request: Request) -> None:
    """One request on a connection of its own."""
    exchange(http.client.HTTPConnection("127.0.0.1", port), request)


def durations_ms(port: int, make: Callable[[], Request], count: int = 30) -> list[float]:
    """The milliseconds of each of these requests on one connection."""
    connection, taken = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(count):
        request, began = make(), time.perf_counter()
        exchange(connection, request)
        taken.append((time.perf_counter() - began) * 1000)
    connection.close()
    return taken


def allow_many_files() -> None:
    """Allow this process and its children to open as many files as the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
