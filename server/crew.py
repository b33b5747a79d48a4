"""Starts, watches, restarts and stops the worker processes beside the web process."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

log = logging.getLogger("ledger.crew")
ROOT = Path(__file__).parent.parent
WORKER_STOP_SECONDS = 10.0


class Crew:
    """The worker processes beside the web process; a worker that dies is replaced.

    count workers make jobs, and one more makes loops, so that a loop never waits for a song. No worker when count is 0.
    """

    def __init__(self, count: int) -> None:
        self.kinds = ["jobs"] * count + ["loops"] * (count > 0)
        self.members: list[subprocess.Popen[bytes]] = []
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start all workers, and the thread that watches them."""
        self.members = [_worker(kind) for kind in self.kinds]
        self._watcher.start()

    def stop(self) -> None:
        """Send SIGTERM: each worker releases its lease and ends. Kill those that still run after ten seconds."""
        self._stopping.set()
        self._watcher.join()
        for member in self.members:
            member.terminate()
        until = time.monotonic() + WORKER_STOP_SECONDS
        for member in self.members:
            try:
                member.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()

    def _watch(self) -> None:
        while not self._stopping.wait(1):
            for number, member in enumerate(self.members):
                if member.poll() is not None:
                    self._replace(number)

    def _replace(self, number: int) -> None:
        """Start a worker in place of one that has ended; what fails is tried again in a second."""
        ended = self.members[number]
        try:
            log.warning("worker %s ended with code %s; starting another", ended.pid, ended.returncode)
            self.members[number] = _worker(self.kinds[number])
        except Exception:
            log.exception("no worker can be started just now")


def _worker(kind: str) -> subprocess.Popen[bytes]:
    """Start a worker in the current working directory, because paths in the settings are relative to it."""
    begin = f"main([{kind!r}], parent={os.getpid()})"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from studio.worker import main; {begin}"
    return subprocess.Popen([sys.executable, "-c", code])
