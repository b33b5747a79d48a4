"""What a request costs, as ratios measured side by side in one run: make bench.

The yardstick is /healthz on the same server at the same moment: Flask, Granian and the log line, and no database.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS, SECONDS, CLIENTS = 3, 1.0, 4
BODY = json.dumps({"prompt": "folk, electronic guitar", "metadata": {"genre": "Folk", "mood": "Calm"}})
Request = tuple[str, str, str | None]


def main() -> None:
    """Print a table: requests a second and the ratio to the yardstick, then import and growth."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-bench-"))
    try:
        imports()
        port = free_port()
        environment = {
            **os.environ,
            "PORT": str(port),
            "DB_PATH": str(folder / "b.db"),
            "STORAGE_DIR": str(folder / "output"),
        }
        environment["WORKERS"] = "0"
        with serving(environment, port):
            load(port)
            growth(port, folder / "b.db")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def imports() -> None:
    """`from models import Job` against the two libraries it stands on."""

    def seconds(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        return time.perf_counter() - began

    pairs = [(seconds("import peewee, pydantic_settings"), seconds("from models import Job")) for _ in range(7)]
    base, ours = (min(column) for column in zip(*pairs, strict=True))
    print(f"from models import Job: {ours:.2f} s, {ours / base:.2f} x the import of peewee and pydantic-settings")


def load(port: int) -> None:
    """Requests a second of four clients, taking turns between the kinds of request."""
    send(port, "POST", "/api/jobs", json.dumps({"job_id": "one", "prompt": "p"}))
    kinds: dict[str, Callable[[], Request]] = {
        "GET /healthz": lambda: ("GET", "/healthz", None),
        "GET /api/jobs/{id}": lambda: ("GET", "/api/jobs/one", None),
        "POST /api/jobs": lambda: ("POST", "/api/jobs", BODY),
        "PATCH /api/jobs/{id}": lambda: ("PATCH", "/api/jobs/one", '{"progress": 5}'),
        "GET /api/jobs?limit=50": lambda: ("GET", "/api/jobs?limit=50", None),
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, make in kinds.items():
            rates[name].append(rate(port, make))
    yardstick = statistics.median(rates["GET /healthz"])
    for name, measured in rates.items():
        middle = statistics.median(measured)
        print(f"{name:24} {middle:8.0f} /s   {middle / yardstick:5.2f} x healthz")


def growth(port: int, path: Path) -> None:
    """What lists and a claim cost with 200,000 finished and 50,000 pending jobs more, medians of 30 requests."""
    requests: dict[str, Request] = {
        "newest 50": ("GET", "/api/jobs", None),
        "by status": ("GET", "/api/jobs?status=pending", None),
        "by rare word": ("GET", "/api/jobs?q=needle", None),
        "by common word": ("GET", "/api/jobs?q=electronic", None),
        "by two of them": ("GET", "/api/jobs?q=folk+electronic", None),
        "by priority": ("GET", "/api/jobs?sort=-priority", None),
        "claim": ("POST", "/api/jobs/claim", '{"worker": "bench"}'),
    }
    before = {name: median_ms(port, request) for name, request in requests.items()}
    fill(path, 250_000)
    for name, request in requests.items():
        after = median_ms(port, request)
        print(f"{name:24} {after:8.2f} ms   {after / before[name]:5.2f} x with 250,000 jobs more")


def fill(path: Path, rows: int) -> None:
    """Add jobs by plain SQL, a second apart, four in five of them finished."""
    import cysqlite

    with cysqlite.connect(str(path)) as connection:
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO job (job_id, created_at, prompt, status, priority) "
            "SELECT 'fill-' || i, (unixepoch() + i) * 1000000, "
            "CASE i WHEN 9 THEN 'needle' ELSE 'folk electronic ' || i END, "
            "CASE i % 5 WHEN 0 THEN 'pending' ELSE 'completed' END, i % 10 FROM n",
            (rows,),
        )


def rate(port: int, make: Callable[[], Request]) -> float:
    """Requests a second, for SECONDS, of CLIENTS kept-alive connections."""
    counts = [0] * CLIENTS
    until = time.perf_counter() + SECONDS

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() < until:
            exchange(connection, *make())
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def median_ms(port: int, request: Request) -> float:
    """The median milliseconds of 30 requests on one connection."""
    connection, taken = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(30):
        began = time.perf_counter()
        exchange(connection, *request)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def exchange(connection: http.client.HTTPConnection, method: str, url: str, body: str | None) -> None:
    """One request; anything but a success ends the run."""
    connection.request(method, url, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400:
        sys.exit(f"{method} {url}: {answer.status} {text!r}")


def send(port: int, method: str, url: str, body: str) -> None:
    """One request on a connection of its own."""
    exchange(http.client.HTTPConnection("127.0.0.1", port), method, url, body)


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class serving:
    """python app.py for as long as the block runs."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self.environment, self.port = environment, port

    def __enter__(self) -> None:
        quiet = subprocess.DEVNULL
        began = time.perf_counter()
        self.process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=self.environment, stderr=quiet)
        while time.perf_counter() - began < 20:
            try:
                send(self.port, "GET", "/healthz", "")
                print(f"python app.py answers /healthz after {time.perf_counter() - began:.2f} s")
                return
            except OSError:
                time.sleep(0.01)
        sys.exit("the server did not start")

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


if __name__ == "__main__":
    main()
