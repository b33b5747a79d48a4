"""Measures how the time of a request grows with the number of jobs. Each job has a track and a loop.

make bench-growth runs this file: on SQLite and on PostgreSQL, with 1,000 and with 250,000 jobs, and with the pages of
the dashboard.
"""

import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fill import MIXED, fill
from load import Client
from operations import request
from queues import new_database, postgresql
from service import serving

Make = Callable[[int], bytes]  # the request of a number

ROUNDS = 30  # requests of each kind at each size
MOST_SECONDS = 3.0  # for one kind; a slow one has fewer rounds
READS = {
    "list of 50": "/api/jobs",
    "list with tracks and loops": "/api/jobs?expand=tracks.loops",
    "list by status": "/api/jobs?status=pending",
    "list by two statuses": "/api/jobs?status=pending&status=failed",
    "list by priority": "/api/jobs?sort=-priority",
    "list by status and priority": "/api/jobs?status=pending&sort=-priority",
    "common word": "/api/jobs?q=electronic",
    "two common words": "/api/jobs?q=folk+electronic",
    "rare word": "/api/jobs?q=needle",
    "word that no job has": "/api/jobs?q=nowhere",
    "metadata filter": "/api/jobs?metadata.genre=genre-3",
    "metadata that no job has": "/api/jobs?metadata.genre=nowhere",
    "count": "/api/jobs?count=true&limit=1",
    "statistics": "/api/stats",
}
PAGES = {
    "page of the list": "/",
    "page of completed": "/?show=completed",
    "page of failed": "/?show=failed",
    "page of one type": "/?job_type=diffrhythm",
    "page by common word": "/?q=electronic",
    "page by one letter": "/?q=e",
    "page by word and status": "/?q=electronic&show=completed",
    "page of a job": "/jobs/fill-1",
}


def main() -> None:
    """Print a table for each database."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        sizes = (1000, 250_000)
        urls = {size: f"sqlite:///{folder}/{size}.db" for size in sizes}
        show("SQLite", measure(urls, PAGES))
        with postgresql(Path(folder)) as server:
            show("PostgreSQL", measure({size: new_database(server, f"jobs_{size}") for size in sizes}, PAGES))


def show(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the milliseconds of each kind of request at each size, and the ratio of the last to the first."""
    print(f"{name}: milliseconds with {' and '.join(f'{int(size):,} jobs' for size in rows[0]['ms'])}, and their ratio")
    for row in rows:
        values = list(row["ms"].values())
        print(
            f"  {row['operation']:28} {' '.join(f'{value:9.2f}' for value in values)}  {values[-1] / values[0]:6.2f} x"
        )


def measure(urls: dict[int, str], pages: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """A row for each kind of request: its median milliseconds at each size. The sizes take turns."""
    for size, url in urls.items():
        fill(url, range(1, size + 1))
    with ExitStack() as stack:
        ports = {size: stack.enter_context(serving_database(url)) for size, url in urls.items()}
        clients = {size: stack.enter_context(closing(Client(port))) for size, port in ports.items()}
        middles = {size: cursor_of_the_middle(client, size) for size, client in clients.items()}
        rows = [row(name, path, clients, middles) for name, path in (READS | (pages or {})).items()]
        rows.append(row("page in the middle", "/api/jobs?cursor={}", clients, middles))
        rows += [row_of(name, {size: make for size in clients}, clients) for name, make in changes().items()]
    return rows


@contextmanager
def serving_database(url: str) -> Iterator[int]:
    """The port of a service with this database."""
    folder = tempfile.TemporaryDirectory(prefix="ledger-bench-")
    with folder as path, serving(Path(path), DATABASE_URL=url) as service:
        yield service.port


def cursor_of_the_middle(client: Client, size: int) -> str:
    """The cursor of a page in the middle of the list of all jobs."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(MIXED.start + size // 2))
    page = client.ask(request("GET", f"/api/jobs?limit=1&created_before={quote(moment)}"))
    return str(json.loads(page)["next"]).rpartition("cursor=")[2]


def row(name: str, path: str, clients: dict[int, Client], middles: dict[int, str]) -> dict[str, Any]:
    """The row of one address."""
    requests = {size: request("GET", path.format(middles[size])) for size in clients}
    return row_of(name, {size: lambda _, one=one: one for size, one in requests.items()}, clients)  # type: ignore[misc]


def changes() -> dict[str, Make]:
    """Rows for requests by id, and for requests that change something. No change is made twice."""
    return {
        "GET job": lambda number: request("GET", f"/api/jobs/fill-{number + 1}"),
        "POST job": lambda number: request("POST", "/api/jobs", json.dumps({"prompt": f"folk, take {number}"})),
        "PATCH progress": lambda number: request(
            "PATCH", f"/api/jobs/fill-{5 * number + 5}", f'{{"progress": {number}}}'
        ),
        "claim": lambda number: request("POST", "/api/jobs/claim", '{"worker": "bench"}'),
        "DELETE job": lambda number: request("DELETE", f"/api/jobs/fill-{number + 501}"),
    }


def row_of(name: str, makes: dict[int, Make], clients: dict[int, Client]) -> dict[str, Any]:
    """The row of one kind of request."""
    taken: dict[int, list[float]] = {size: [] for size in clients}
    began = time.perf_counter()
    for number in itertools.count():
        for size, client in clients.items():
            taken[size].append(client.milliseconds(makes[size](number)))
        if number + 1 == ROUNDS or (number >= 2 and time.perf_counter() - began > MOST_SECONDS):
            break
    return {"operation": name, "ms": {str(size): statistics.median(figures) for size, figures in taken.items()}}


if __name__ == "__main__":
    sys.exit(main())
