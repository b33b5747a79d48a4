"""Measures what a request costs, as ratios to a fixed request in the same run: make bench.

The yardstick is /healthz on the same server at the same moment: Flask, the front and the log line, and no database.
"""

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from service import ROOT, Request, exchange, send, serving

ROUNDS, SECONDS, CLIENTS = 3, 1.0, 4
BODY = json.dumps({"prompt": "folk, electronic guitar", "metadata": {"genre": "Folk", "mood": "Calm"}})


def main() -> None:
    """Print how long imports and the start take, and requests a second with their ratio to the yardstick."""
    imports()
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder, serving(Path(folder)) as service:
        print(f"python app.py answers /healthz after {service.start_seconds:.2f} s")
        load(service.port)


def imports() -> None:
    """Compare `from models import Job` with the two libraries that it imports."""

    def seconds(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        return time.perf_counter() - began

    pairs = [(seconds("import peewee, pydantic_settings"), seconds("from models import Job")) for _ in range(7)]
    base, ours = (min(column) for column in zip(*pairs, strict=True))
    print(f"from models import Job: {ours:.2f} s, {ours / base:.2f} x the import of peewee and pydantic-settings")


def load(port: int) -> None:
    """Requests per second of four clients. The kinds of request alternate."""
    send(port, ("POST", "/api/jobs", json.dumps({"job_id": "one", "prompt": "p"})))
    kinds: dict[str, Request] = {
        "GET /healthz": ("GET", "/healthz", None),
        "GET /api/jobs/{id}": ("GET", "/api/jobs/one", None),
        "POST /api/jobs": ("POST", "/api/jobs", BODY),
        "PATCH /api/jobs/{id}": ("PATCH", "/api/jobs/one", '{"progress": 5}'),
        "GET /api/jobs?limit=50": ("GET", "/api/jobs?limit=50", None),
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, request in kinds.items():
            rates[name].append(rate(port, request))
    yardstick = statistics.median(rates["GET /healthz"])
    for name, measured in rates.items():
        middle = statistics.median(measured)
        print(f"{name:24} {middle:8.0f} /s   {middle / yardstick:5.2f} x healthz")


def rate(port: int, request: Request) -> float:
    """Requests per second of CLIENTS connections with keep-alive, measured for SECONDS."""
    counts = [0] * CLIENTS
    until = time.perf_counter() + SECONDS

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() < until:
            exchange(connection, request)
            counts[number] += 1

    run_together([lambda number=number: client(number) for number in range(CLIENTS)])
    return sum(counts) / SECONDS


def run_together(tasks: list[Callable[[], None]]) -> None:
    """Run each task in a thread of its own, and wait for all threads."""
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
