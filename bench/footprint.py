"""The footprint: imports, the start, memory, and the size of the packages that must be installed."""

import csv
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from contestants import RIVALS
from packaging.requirements import Requirement
from processes import descendants, memory_mb, web_process
from service import ROOT, serving

REPLACED_NEEDS = ("fastapi", "sqlalchemy", "pydantic", "uvicorn", "httptools", "uvloop")
MEGABYTE = 1_000_000


def measure(repeats: int) -> dict[str, float]:
    """All figures, in seconds and megabytes. Imports and starts are the medians of these repeats."""
    rest, ready = at_rest(repeats)
    return {
        "import_seconds": import_seconds("from models import Job", repeats),
        "peewee_import_seconds": import_seconds("import peewee, pydantic_core", repeats),
        "ready_seconds": ready,
        "rest_mb": rest,
        "installed_mb": installed_mb(needs()),
        "replaced_installed_mb": installed_mb(list(REPLACED_NEEDS)),
    }


def import_seconds(code: str, repeats: int) -> float:
    """The median seconds that a new process needs for this code, without the start of Python."""

    def seconds(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        return time.perf_counter() - began

    return statistics.median(seconds(code) - seconds("pass") for _ in range(repeats))


def at_rest(repeats: int) -> tuple[float, float]:
    """(the memory of the web process at rest, the median seconds of a start until /healthz answers)."""
    ready = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder, serving(Path(folder)) as service:
            ready.append(service.start_seconds)
            time.sleep(1)
            memory = memory_mb(web_process(service.pid))
    return memory, statistics.median(ready)


def serving_memory(pid: int) -> float:
    """The memory of the process that serves: the largest of a process and its descendants."""
    return max(memory_mb(member) for member in (pid, *descendants(pid)))


def needs() -> list[str]:
    """The packages that the service needs."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(project["project"]["dependencies"])


def installed_mb(requirements: list[str]) -> float:
    """The size of the files of these distributions and of all distributions that they need, by their RECORD files."""
    folder = next((RIVALS.parent.parent / "lib").glob("python*/site-packages"))
    installed = {plain(package.metadata["Name"]): package for package in distributions(path=[str(folder)])}
    chosen: dict[str, Distribution] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = plain(requirement.name)
        if name in installed and name not in chosen:
            chosen[name] = installed[name]
            parts = [Requirement(text) for text in chosen[name].requires or []]
            waiting += [part for part in parts if part.marker is None or part.marker.evaluate({"extra": ""})]
    return sum(size_of(package) for package in chosen.values()) / MEGABYTE


def size_of(distribution: Distribution) -> int:
    """The bytes of the files of a distribution, without compiled bytecode."""
    record = distribution.read_text("RECORD") or ""
    return sum(int(size) for _, _, size in csv.reader(record.splitlines()) if size)


def plain(name: str) -> str:
    """The name of a distribution in its normal form."""
    return name.lower().replace("_", "-").replace(".", "-")
