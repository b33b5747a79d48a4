"""Measures everything, and compares it with other software: make bench. make bench QUICK=1 is the short form.

python bench [--quick] [requests queues streams in_process growth footprint]. A quick run only prints the tables. A
whole run writes its parts into docs/benchmarks.json, and then the tables and pictures of docs/benchmarks.md.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import footprint
import growth
import queues
import rates
import report
import streams
from contestants import Contestant, contestants
from fill import RUNNING, fill
from operations import SEEN
from service import ROOT, allow_many_files


@dataclass(frozen=True)
class Extent:
    """How much to measure."""

    plan: rates.Plan
    jobs: int  # in the databases of the contestants
    seconds: float  # for each queue, each number of streams, and each operation in one process
    streams: tuple[int, ...]
    sizes: tuple[int, ...]  # of the databases that grow


WHOLE = Extent(rates.Plan(3, 0.8, (1, 16, 64)), 45_000, 1.5, (0, 64, 1000), (1000, 100_000, 1_000_000))
QUICK = Extent(rates.Plan(1, 0.3, (16,)), 21_000, 0.3, (0, 64), (1000, 20_000))

CODE_JOBS = 10_000  # in the database for the measurement of CPU time


def main() -> None:
    """Measure, print the tables, and write the documents unless the run is quick."""
    allow_many_files()
    is_quick, path = "--quick" in sys.argv, report.DOCS / "benchmarks.json"
    names = [name for name in sys.argv[1:] if not name.startswith("--")] or list(PARTS)
    results = json.loads(path.read_text()) if path.exists() and not is_quick else {}
    results["machine"] = machine()
    for name in names:
        began = time.perf_counter()
        results |= PARTS[name](QUICK if is_quick else WHOLE)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        if not is_quick:
            path.write_text(json.dumps(rounded(results), indent=1) + "\n")
    print(report.report(results))
    if not is_quick:
        report.main()


def of_requests(extent: Extent) -> dict[str, Any]:
    """Requests a second of all contestants, and their memory afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder,
        contestants(Path(folder), extent.jobs) as everyone,
    ):
        rows = rates.measure(everyone, extent.plan)
        servers = [one for one in everyone if isinstance(one, Contestant)]
        memory = {one.name: footprint.serving_memory(one.service.pid) for one in servers}
        return {"requests": rows, "memory": memory}


def of_footprint(extent: Extent) -> dict[str, Any]:
    """Imports, starts and sizes."""
    return {"footprint": footprint.measure(extent.plan.repeats)}


def of_queues(extent: Extent) -> dict[str, Any]:
    """Jobs a second as a queue."""
    return {"queues": queues.measure(extent.plan.repeats, extent.seconds)}


def of_streams(extent: Extent) -> dict[str, Any]:
    """Open streams."""
    return {"streams": streams.measure(extent.streams, extent.plan.repeats, extent.seconds)}


def of_code(extent: Extent) -> dict[str, Any]:
    """CPU time in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        path = f"{folder}/b.db"
        fill(f"sqlite:///{path}", range(1, SEEN + 1), RUNNING)
        fill(f"sqlite:///{path}", range(1, CODE_JOBS + 1))
        command = [sys.executable, str(ROOT / "bench" / "in_process.py"), path, str(extent.seconds)]
        environment = {**os.environ, "STORAGE_DIR": f"{folder}/output"}
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=folder, env=environment)
        return {"in_process": json.loads(done.stdout)}


def of_growth(extent: Extent) -> dict[str, Any]:
    """The same requests with more and more jobs."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        return {"growth": growth.measure({size: f"sqlite:///{folder}/{size}.db" for size in extent.sizes})}


PARTS: dict[str, Callable[[Extent], dict[str, Any]]] = {
    "requests": of_requests,
    "queues": of_queues,
    "streams": of_streams,
    "in_process": of_code,
    "growth": of_growth,
    "footprint": of_footprint,
}


def machine() -> dict[str, Any]:
    """The machine and the versions of this run."""
    import cysqlite

    connection = cysqlite.connect(":memory:")
    (version,) = connection.execute("SELECT sqlite_version()").fetchone()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "sqlite": version,
    }


def rounded(value: Any) -> Any:
    """The same results with four significant digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
