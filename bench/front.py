"""Measures what a normal client feels while the web process has a crowd of slow and waiting clients.

Then how the service stops, and how it comes back after a crash. --quick takes a tenth of the numbers; the names of
scenes (alone, crowd, idle, stop, crash, orphans) take only these.

One other process holds the crowd, and another is the normal client: 50 requests a second, in turn GET job, POST job and
64 kB of a WAV.
"""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from crowd import rows
from normal_client import WAV_SECONDS, run_normal_client, show
from processes import children, command, descendants, is_running, memory_mb, open_files, web_process
from service import ROOT, Service, allow_many_files, exchange, send, serving

Numbers = dict[str, int]
CROWD = {"streams": 1000, "deaf": 64, "slow": 200, "stalled": 200, "waits": 500, "claims": 500}
IDLE = {"idle": 2000, "halves": 500, "resets": 10_000}
STOP = {"streams": 1000, "waits": 100}


def main() -> None:
    """Print the figures of every scene, or of those that are named."""
    allow_many_files()
    quick = "--quick" in sys.argv
    named = [name for name in sys.argv[1:] if name != "--quick"]
    scenes = {"alone": alone, "crowd": crowd, "idle": idle, "stop": stop, "crash": crash, "orphans": orphans}
    for name, scene in scenes.items():
        if not named or name in named:
            with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
                scene(Path(folder), 10 if quick else 1)


# The scenes


def alone(folder: Path, divisor: int) -> None:
    """The normal client with nobody beside it, to compare."""
    with prepared(folder) as service:
        show("alone", run_normal_client(service.port, 15 / divisor))


def crowd(folder: Path, divisor: int) -> None:
    """Streams, slow bodies, stalled readers and waits."""
    with prepared(folder) as service:
        pid = web_process(app_process())
        before = memory_mb(pid)
        with crowded(service, folder, scaled(CROWD, divisor)) as holder, watched_memory(pid) as seen:
            show("crowd", run_normal_client(service.port, 15))
            time.sleep(2)  # the last events arrive
            report = answer_of(holder, "report")
        time.sleep(60 / divisor)
        print(f"crowd: memory {before:.0f} MB before, {max(seen):.0f} MB at most, {memory_mb(pid):.0f} MB afterwards")
        middle, most = report.pop("late_ms")
        print(f"crowd: commit to stream: median {middle:.1f} ms, 95 % {most:.1f} ms; {report}", flush=True)


def idle(folder: Path, divisor: int) -> None:
    """Idle connections, half heads, and connections that are reset."""
    with prepared(folder) as service:
        pid = web_process(app_process())
        run_normal_client(service.port, 1)  # every thread has its connection to the database by then
        before = open_files(pid)
        with crowded(service, folder, scaled(IDLE, divisor)) as holder:
            show("idle", run_normal_client(service.port, 15))
            most, report = open_files(pid), answer_of(holder, "report")
        time.sleep(3)
        print(
            f"idle: open files {before} before, {most} at the end, {open_files(pid)} afterwards; {report}", flush=True
        )


def stop(folder: Path, divisor: int) -> None:
    """SIGTERM while streams are open and requests wait."""
    with prepared(folder, WORKERS="1") as service:
        pid = app_process()
        family = [pid, *descendants(pid)]
        with crowded(service, folder, scaled(STOP, divisor)) as holder:
            began = time.perf_counter()
            os.kill(pid, signal.SIGTERM)
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            taken = time.perf_counter() - began
            left = [command(member) for member in family if is_running(member)]
            report = answer_of(holder, "report")
        code = ended.si_status if ended else None
        print(f"stop: exit code {code} after {taken:.2f} s, still running: {left}; {report}", flush=True)


def crash(folder: Path, divisor: int) -> None:
    """SIGKILL of the web process while jobs are created."""
    with prepared(folder) as service, ThreadPoolExecutor(4) as pool:
        parent, is_over = app_process(), threading.Event()
        creating = [pool.submit(create_until, service.port, name, is_over) for name in "abcd"]
        time.sleep(3)
        began = time.perf_counter()
        os.kill(web_process(parent), signal.SIGKILL)
        back = seconds_until_healthy(service.port, began)
        time.sleep(1)
        is_over.set()
        created = [job_id for future in creating for job_id in future.result()]
        lost = [job_id for job_id in created if not exists(folder, job_id)]
    print(f"crash: healthy again after {back:.2f} s; {len(created)} acknowledged, {len(lost)} lost", flush=True)


def orphans(folder: Path, divisor: int) -> None:
    """SIGKILL of the parent."""
    with prepared(folder, WORKERS="1") as service, crowded(service, folder, scaled(STOP, divisor)):
        pid = app_process()
        family, began = descendants(pid), time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        while any(map(is_running, family)) and time.perf_counter() - began < 20:
            time.sleep(0.02)
        taken, left = time.perf_counter() - began, [command(member) for member in family if is_running(member)]
    print(f"orphans: {len(family)} children, the last ended after {taken:.2f} s; still running: {left}", flush=True)


def scaled(numbers: Numbers, divisor: int) -> Numbers:
    """A part of these numbers."""
    return {name: max(1, number // divisor) for name, number in numbers.items()}


# The service


@contextmanager
def prepared(folder: Path, **environment: str) -> Iterator[Service]:
    """The service with one job, which has a track with a WAV of 20 MB."""
    path = folder / "output" / "tracks" / "one" / "one.wav"
    path.parent.mkdir(parents=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(4 * 44100 * WAV_SECONDS))
    with serving(folder, SSE_LIMIT="2000", **environment) as service:
        send(service.port, ("POST", "/api/jobs", '{"job_id": "one", "prompt": "p"}'))
        track = {"track_id": "one", "file_path_wav": "tracks/one/one.wav"}
        send(service.port, ("POST", "/api/jobs/one/tracks", json.dumps(track)))
        yield service


def app_process() -> int:
    """The id of python app.py."""
    return next(pid for pid in children(os.getpid()) if "app.py" in command(pid))


@contextmanager
def watched_memory(pid: int) -> Iterator[list[float]]:
    """The resident memory of a process, five times a second during the block."""
    seen, is_over = [memory_mb(pid)], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            seen.append(memory_mb(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def create_until(port: int, prefix: str, is_over: threading.Event) -> list[str]:
    """Create jobs one after another; the ids of those that were acknowledged."""
    created: list[str] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for number in itertools.count():
        if is_over.is_set():
            return created
        job_id = f"{prefix}-{number}"
        try:
            connection.request(
                "POST", "/api/jobs", json.dumps({"job_id": job_id, "prompt": "p"}), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.01)
        else:
            created += [job_id] if answer.status == 201 else []
    raise AssertionError


def seconds_until_healthy(port: int, began: float) -> float:
    """The seconds until /healthz answers."""
    while time.perf_counter() - began < 30:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with suppress(OSError, http.client.HTTPException):
            exchange(connection, ("GET", "/healthz", None))
            return time.perf_counter() - began
        connection.close()
        time.sleep(0.005)
    sys.exit("the service does not come back")


def exists(folder: Path, job_id: str) -> bool:
    """True if the database has this job."""
    return bool(rows(folder, "SELECT 1 FROM job WHERE job_id = ?", job_id))


@contextmanager
def crowded(service: Service, folder: Path, numbers: Numbers) -> Iterator[subprocess.Popen[str]]:
    """A process that holds these clients during the block; all of them are connected when it begins."""
    task = json.dumps({"port": service.port, "folder": str(folder), **numbers})
    arguments = [sys.executable, str(ROOT / "bench" / "crowd.py"), task]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        answer_of(process, "ready")
        yield process
    finally:
        process.communicate(timeout=60)


def answer_of(process: subprocess.Popen[str], question: str) -> dict[str, Any]:
    """What that process answers to a question, which is one line."""
    assert process.stdin and process.stdout
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    return cast(dict[str, Any], json.loads(process.stdout.readline()))


if __name__ == "__main__":
    main()
