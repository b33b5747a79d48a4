"""Measures the CPU time that this service adds to that of SQLite, in one process, without a server and without fsync.

Four ways take turns on one file: the SQL statements alone; the repositories, which return models; rows that are written
as JSON, as REST does it; and the whole view of a REST request, without the time that Flask needs to call the view. Run:
in_process.py FILE SECONDS
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parent.parent))

import cysqlite  # noqa: E402
from flask import Flask, Response, request  # noqa: E402
from raw import SEEN, Statement, insert, update  # noqa: E402

from app import create_app  # noqa: E402
from models import Job  # noqa: E402
from records.rows import Row  # noqa: E402
from repos import JobRepository, Page  # noqa: E402
from settings import Settings  # noqa: E402
from web.fragments import array, fragment  # noqa: E402
from web.kept import Kept  # noqa: E402

PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = 1", "recursive_triggers = 1")
TURN = 20  # operations of one way; then the next way has its turn
PROMPT, METADATA = "folk, electronic guitar, soft piano, take 1", {"genre": "genre-1", "mood": "calm"}


def job_id(number: int) -> str:
    """The id of a job that is read and changed."""
    return f"load-{number % SEEN + 1}"


def select(number: int) -> Statement:
    """The statement that reads one job."""
    return Job.select().where(Job.job_id == job_id(number)).sql()  # type: ignore[no-any-return]


def select_page(number: int) -> Statement:
    """The statement that reads the newest jobs: 50, and one that says whether there are more."""
    return Job.select().order_by(Job.created_at.desc(), Job.job_id.desc()).limit(51).sql()  # type: ignore[no-any-return]


def repository_calls() -> dict[str, Callable[[int], object]]:
    """The operations by the repository of jobs."""
    jobs = JobRepository()
    return {
        "create": lambda number: jobs.create(prompt=PROMPT, metadata=METADATA),
        "update": lambda number: jobs.update(job_id(number), progress=number * 7 % 100),
        "get": lambda number: jobs.get_by_id(job_id(number)),
        "list of 50": lambda number: jobs.get_all(50),
    }


def json_calls() -> dict[str, Callable[[int], object]]:
    """The operations as REST does them: the repository returns rows, and they are written as JSON."""
    jobs, kept = JobRepository(), Kept(Job)
    fields = {"prompt": PROMPT, "metadata": METADATA}
    return {
        "create": lambda number: fragment(Job, jobs.create_row(fields)[0]),
        "update": lambda number: fragment(Job, jobs.update_row(job_id(number), {"progress": number * 7 % 100})),
        "get": lambda number: fragment(Job, cast(Row, jobs.get_row(job_id(number)))),
        "list of 50": lambda number: newest_as_json(jobs, kept),
    }


def newest_as_json(jobs: JobRepository, kept: Kept) -> bytes:
    """A list of 50 jobs, whose JSON is often kept."""
    keys, read = jobs.page_keys(Page(limit=51))
    texts = kept.of_rows(read) if read else kept.of_keys(keys, jobs.get_rows)
    return array(texts.values())


STATEMENTS: dict[str, Callable[[int], Statement]] = {
    "create": insert,
    "update": update,
    "get": select,
    "list of 50": select_page,
}
REQUESTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "create": lambda number: {"method": "POST", "path": "/api/jobs", "json": {"prompt": PROMPT, "metadata": METADATA}},
    "update": lambda number: {
        "method": "PATCH",
        "path": f"/api/jobs/{job_id(number)}",
        "json": {"progress": number * 7 % 100},
    },
    "get": lambda number: {"path": f"/api/jobs/{job_id(number)}"},
    "list of 50": lambda number: {"path": "/api/jobs", "query_string": "limit=50"},
}


def constant_app() -> Flask:
    """A Flask app that reads the body, if there is one, and answers with a constant."""
    constant = Flask("constant", static_folder=None)

    def answer(**_: str) -> Response:
        request.get_data()
        return Response(b"{}", content_type="application/json")

    for path in ("/api/jobs", "/api/jobs/<job_id>"):
        constant.add_url_rule(path, path, answer, methods=["GET", "POST", "PATCH"])
    return constant


def timed(steps: list[Callable[[], object]]) -> list[float]:
    """The microseconds of CPU time of each step, in all threads of this process."""
    taken = []
    for step in steps:
        began = time.process_time()
        step()
        taken.append((time.process_time() - began) * 1_000_000)
    return taken


def timed_views(app: Flask, requests: list[dict[str, Any]]) -> list[float]:
    """The same for the views of these requests."""
    taken = []
    for parts in requests:
        with app.test_request_context(**parts):
            taken += timed([app.dispatch_request])
    return taken


def measure(path: str, seconds: float) -> list[dict[str, Any]]:
    """A row for each operation: the median microseconds of each way."""
    real = create_app(Settings(_env_file=None, database_url=f"sqlite:///{path}", sqlite_synchronous="NORMAL"))
    try:
        return [row(name, real, path, seconds) for name in STATEMENTS]
    finally:
        real.extensions["ledger"].close()


def row(operation: str, real: Flask, path: str, seconds: float) -> dict[str, Any]:
    """The figures of one operation. The ways take turns."""
    run, constant = connect(path).execute, constant_app()
    calls = {"repository": repository_calls()[operation], "json": json_calls()[operation]}
    taken: dict[str, list[float]] = {"sqlite": [], "repository": [], "json": [], "view": [], "constant": []}
    first, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        numbers = range(first, first + TURN)
        statements = [STATEMENTS[operation](number) for number in numbers]
        requests = [REQUESTS[operation](number) for number in numbers]
        taken["sqlite"] += timed(
            [lambda sql=sql, values=values: run(sql, values).fetchall() for sql, values in statements]
        )
        for way, call in calls.items():
            taken[way] += timed([lambda number=number, call=call: call(number) for number in numbers])
        taken["view"] += timed_views(real, requests)
        taken["constant"] += timed_views(constant, requests)
        first += TURN
    middle = {name: statistics.median(figures) for name, figures in taken.items()}
    middle["view"] -= middle.pop("constant")
    return {"operation": operation, **middle}


def connect(path: str) -> Any:
    """A connection for the statements alone, with the pragmas of the service; NORMAL writes a commit without fsync."""
    connection = cysqlite.connect(path, timeout=10)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


if __name__ == "__main__":
    json.dump(measure(sys.argv[1], float(sys.argv[2])), sys.stdout)
