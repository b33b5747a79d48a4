"""Runs python app.py in tests: its start and stop, its requests, its processes and its log."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from settings import Settings
from tests.forked import Python

ROOT = Path(__file__).parent.parent
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}  # the environment of a process whose memory is measured, not its coverage


class Server:
    """python app.py as a process group of its own, on a free port."""

    def __init__(self, folder: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self.folder = f"http://127.0.0.1:{self.port}", folder
        self.log = folder / f"server-{self.port}.log"
        self.command = [sys.executable, "app.py"]
        own = {"PORT": str(self.port), "STORAGE_DIR": str(folder / "output")}
        if "API_TOKEN" in environment:  # then it keeps the sessions of browsers
            own["API_TOKENS"] = str(folder / "tokens.json")
        self.environment = clean_environment(**{**own, **environment})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def storage(self) -> Path:
        """Its storage folder."""
        return Path(self.environment["STORAGE_DIR"])

    def web_process(self) -> psutil.Process:
        """Its web process: a fork of its parent, unlike the workers that make audio."""
        [process] = web_workers(self)
        return process

    def memory(self) -> int:
        """The bytes its web process holds."""
        return int(self.web_process().memory_info().rss)

    def start(self, seconds: float = 60) -> "Server":
        """Start it, and return when it answers."""
        self.launch()
        wait_for(self.is_up, seconds, lambda: f"no answer; log: {self.log.read_text()}")
        return self

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it without waiting for its first answer."""
        with self.log.open("ab") as log:
            self.process = Python(
                self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        return self.process

    def is_up(self) -> bool:
        """True when it answers /healthz."""
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        try:
            with urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """(status, JSON of the answer or its bytes)."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers} if data else headers
        request = Request(self.url + path, data, sent, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                raw, kind, status = answer.read(), answer.headers.get_content_type(), answer.status
        except HTTPError as error:
            with error:
                raw, kind, status = error.read(), "json", error.code
        return status, json.loads(raw) if "json" in kind and raw else raw

    def stop(self) -> None:
        """Have it stop by itself, so that all its processes save what coverage has measured; then kill the group."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        self.signal_all(signal.SIGKILL)

    def signal_all(self, number: int) -> None:
        """Send every process of it a signal, and wait until they are gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        self.process.wait(15)
        self.process = None


class Caller:
    """Sends JSON over one kept connection; calling it gives (status, body)."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw, headers = (None, {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})
        self.connection.request(method, path, raw, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        """Hang up; the next call opens a new connection."""
        self.connection.close()


def group(number: int) -> list[psutil.Process]:
    """The processes of a group that are alive."""
    return [process for process in psutil.process_iter() if is_alive_in(process, number)]


def is_alive_in(process: psutil.Process, number: int) -> bool:
    """True for a process of the group, unless it is a zombie that only waits for its parent to look."""
    try:
        return os.getpgid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def web_workers(service: Server) -> list[psutil.Process]:
    """The processes that answer for a server: forks of its parent, unlike the workers that make audio."""
    assert service.process is not None
    parent = psutil.Process(service.process.pid)
    return [child for child in parent.children() if is_fork(child, parent)]


def is_fork(process: psutil.Process, parent: psutil.Process) -> bool:
    """True for a living process with the command line of its parent."""
    try:
        return process.cmdline() == parent.cmdline()
    except psutil.NoSuchProcess:  # a zombie too
        return False


def lines_with(service: Server, text: str) -> list[str]:
    """The lines of a server's log that have a text."""
    return [line for line in service.log.read_text().splitlines() if text in line]


def accepted(answer: tuple[int, Any]) -> Any:
    """The body of a 200 or 201."""
    status, body = answer
    assert status in (200, 201), body
    return body


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without any setting of the ledger, and more."""
    names = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def wait_for(condition: Callable[[], Any], seconds: float, why: Callable[[], str] = lambda: "") -> Any:
    """Wait until condition() is true, and return its value. Fails the test after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"waited {seconds} s in vain. {why()}")
