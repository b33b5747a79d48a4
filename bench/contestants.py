"""The contestants. All but raw SQLite are real servers. Those with a database have the same jobs in it.

Each runs on one core, because that is fastest, unless its name says otherwise. The load comes from other cores.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import processes
from fill import RUNNING, fill, fill_replaced
from load import load
from operations import SEEN, WAV_BYTES
from service import ROOT, Service, free_port, running, serving

RIVALS = ROOT / ".venv-rivals" / "bin" / "python"
PAGE, DEEP = 20, 1000  # jobs on a page, and the number of a page far from the first
OURS, REPLACED, CONSTANT, RAW = "ours", "replaced service", "Flask constant", "raw SQLite"
GRANIAN, GRANIAN_FREE = "granian, one core", "granian, all cores"
OPERATIONS = {
    REPLACED: {"healthz", "GET job", "list of 50", "POST job", "PATCH progress", "DELETE job"},
    CONSTANT: {"healthz", "GET job", "304", "list of 50", "POST job"},
    RAW: {"POST job", "PATCH progress", "DELETE job"},
    GRANIAN: {"healthz", "GET job", "POST job"},
    GRANIAN_FREE: {"healthz", "GET job", "POST job"},
}

Figures = dict[str, float]


@dataclass
class Contestant:
    """A running server, and the number of the next request of each operation."""

    name: str
    service: Service
    values: dict[str, str] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def run(self, operation: str, connections: int, seconds: float) -> Figures:
        """Send the requests of one operation for these seconds. Returns operations per second, and milliseconds."""
        task = {
            "name": self.name,
            "port": self.service.port,
            "operation": operation,
            "connections": connections,
            "seconds": seconds,
            "first": self.used.get(operation, 1),
            "count": 1_000_000,
            "values": self.values,
        }
        figures = load(task, processes.other_cores(self.service.pid))
        self.used[operation] = task["first"] + int(figures["used"])  # type: ignore[operator]
        return figures


@dataclass
class Raw:
    """SQLite alone, in a process of its own."""

    name: str
    path: Path
    used: dict[str, int] = field(default_factory=dict)

    def run(self, operation: str, connections: int, seconds: float) -> Figures:
        """Run the statements of one operation for these seconds, on one connection."""
        first = self.used.get(operation, 1)
        command = [sys.executable, str(ROOT / "bench" / "raw.py"), str(self.path), operation, str(seconds), str(first)]
        figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        self.used[operation] = first + int(figures["used"])
        return cast(Figures, figures)


@contextmanager
def contestants(folder: Path, jobs: int) -> Iterator[list[Contestant | Raw]]:
    """All contestants, during the block. The databases have these jobs, and those that the load reads and changes."""
    filled = folder / "filled.db"
    fill(f"sqlite:///{filled}", range(1, SEEN + 1), RUNNING)
    fill(f"sqlite:///{filled}", range(1, jobs + 1))
    with ExitStack() as stack:
        yield [
            stack.enter_context(ours(folder / "ours", filled)),
            stack.enter_context(replaced(folder / "replaced", jobs)),
            stack.enter_context(constant(folder / "constant")),
            Raw(RAW, copied(filled, folder / "raw") / "b.db"),
            stack.enter_context(granian(folder / "granian", filled, GRANIAN)),
            stack.enter_context(granian(folder / "granian-free", filled, GRANIAN_FREE)),
        ]


def copied(filled: Path, folder: Path) -> Path:
    """A new folder with a copy of this database."""
    folder.mkdir()
    shutil.copy(filled, folder / "b.db")
    return folder


@contextmanager
def ours(folder: Path, filled: Path) -> Iterator[Contestant]:
    """This service: python app.py."""
    copied(filled, folder)
    path = folder / "output" / "song.wav"
    path.parent.mkdir()
    write_wav(path)
    with serving(folder) as service:
        post(service.port, "/api/jobs", {"job_id": "song", "prompt": "p"})
        post(service.port, "/api/jobs/song/tracks", {"track_id": "song", "file_path_wav": "song.wav"})
        yield Contestant(OURS, service, values_of(service.port, jobs_before_page(DEEP)))


@contextmanager
def constant(folder: Path) -> Iterator[Contestant]:
    """A Flask app that sends the same bytes, on the server of this service."""
    folder.mkdir()
    with serving(folder, script=str(ROOT / "bench" / "constant.py")) as service:
        yield Contestant(CONSTANT, service, {"etag": '"1"'})


@contextmanager
def granian(folder: Path, filled: Path, name: str) -> Iterator[Contestant]:
    """This service behind granian with 80 blocking threads, as it was served before it had a server of its own."""
    copied(filled, folder)
    port = free_port()
    options = "--interface wsgi --workers 1 --blocking-threads 80 --backpressure 1000 --http 1 --no-ws --factory"
    command = [str(RIVALS), "-m", "granian", *options.split(), "--port", str(port), "app:create_app"]
    settings = {"PORT": str(port), "DB_PATH": str(folder / "b.db"), "STORAGE_DIR": str(folder / "output")}
    with running(command, port, settings, {common_core()} if name == GRANIAN else None) as service:
        yield Contestant(name, service)


@contextmanager
def replaced(folder: Path, jobs: int) -> Iterator[Contestant]:
    """The service that this one replaces."""
    folder.mkdir()
    port, path = free_port(), folder / "b.db"
    command = [str(RIVALS), str(ROOT / "bench" / "replaced_service.py"), str(port), str(path)]
    with running(command, port, {}, {common_core()}) as service:
        fill_replaced(path, range(1, SEEN + 1), RUNNING)
        fill_replaced(path, range(1, jobs + 1))
        yield Contestant(REPLACED, service)


def common_core() -> int:
    """The core for contestants that do not choose one themselves."""
    return min(os.sched_getaffinity(0))


def write_wav(path: Path) -> None:
    """A WAV of silence."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(WAV_BYTES))


def post(port: int, path: str, body: dict[str, str]) -> None:
    """Create one record."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()


def jobs_before_page(number: int) -> int:
    """How many jobs come before this page."""
    return (number - 1) * PAGE


def values_of(port: int, depth: int) -> dict[str, str]:
    """The ETag of a job that is read, and the cursor of a page that comes after this many jobs."""
    base = f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"{base}/api/jobs/load-1") as answer:
        etag = answer.headers["ETag"]
    path = "/api/jobs"
    cursor = ""
    while depth > 0:
        limit = min(200, depth)
        with urllib.request.urlopen(f"{base}{path}?limit={limit}{'&cursor=' + cursor if cursor else ''}") as answer:
            following = json.load(answer)["next"]
        if following is None:
            break
        cursor = following.rpartition("cursor=")[2]
        depth -= limit
    return {"etag": etag, "cursor": cursor}
