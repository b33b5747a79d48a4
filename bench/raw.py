"""The floor of writes: SQLite alone, one connection, one transaction and one fsync for each change.

The file has the schema of this service with all its triggers and indexes, and the same pragmas. Run as a process of
its own: raw.py FILE OPERATION SECONDS FIRST
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from database import database, init_database  # noqa: E402
from models import Job, utc_now  # noqa: E402
from settings import Settings  # noqa: E402

Statement = tuple[str, list[Any]]
SEEN = 1000


def insert(number: int) -> Statement:
    """The statement that creates a job."""
    now = utc_now()
    metadata = {"genre": f"genre-{number % 10}", "mood": "calm", "language": "en"}
    prompt = f"folk, electronic guitar, soft piano, take {number}"
    row = {"prompt": prompt, "metadata": metadata, "created_at": now, "updated_at": now}
    return Job.insert(row).returning(Job).sql()  # type: ignore[no-any-return]


def update(number: int) -> Statement:
    """The statement that changes the progress of a job."""
    changes = {"progress": number * 7 % 100, "updated_at": utc_now()}
    query = Job.update(changes).where(Job.job_id == f"load-{number % SEEN + 1}")
    return query.returning(Job).sql()  # type: ignore[no-any-return]


def delete(number: int) -> Statement:
    """The statement that deletes a job with its track and loop."""
    return Job.delete().where(Job.job_id == f"fill-{number}").sql()  # type: ignore[no-any-return]


STATEMENTS: dict[str, Callable[[int], Statement]] = {
    "POST job": insert,
    "PATCH progress": update,
    "DELETE job": delete,
}


def batches(make: Callable[[int], Statement], first: int, size: int = 500) -> Iterator[list[Statement]]:
    """Statements in batches. Building a batch is not measured."""
    while True:
        yield [make(number) for number in range(first, first + size)]
        first += size


def measure(operation: str, seconds: float, first: int) -> dict[str, float]:
    """Run statements for these seconds. Returns the rate, the median and p99 in milliseconds, and the number used."""
    run, taken = database.connection().execute, []
    for batch in batches(STATEMENTS[operation], first):
        for sql, values in batch:
            began = time.perf_counter()
            run(sql, values).fetchall()  # a transaction of its own
            taken.append(time.perf_counter() - began)
        if sum(taken) > seconds:
            break
    taken.sort()
    return {
        "rate": len(taken) / sum(taken),
        "p50": taken[len(taken) // 2] * 1000,
        "p99": taken[int(len(taken) * 0.99)] * 1000,
        "used": len(taken),
    }


if __name__ == "__main__":
    file, operation, seconds, first = sys.argv[1:]
    init_database(Settings(_env_file=None, database_url=f"sqlite:///{file}"))
    json.dump(measure(operation, float(seconds), int(first)), sys.stdout)
