"""Starts, watches, restarts and stops the processes of the service: the web processes, and the workers beside them."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from maintenance.board import Board
from server.stop import Signals

log = logging.getLogger("ledger.crew")
ROOT = Path(__file__).parent.parent
STOP_SECONDS = 10.0
LOOK_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10.0
NAMES = {"web": "web process"}
STEADY_SECONDS = 10.0  # after so long, the next restart is immediate again


class Process(Protocol):
    """A running process."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""


class Member:
    """One place in the crew: a process that is replaced when it ends. kind: web, jobs or loops."""

    def __init__(self, kind: str, start: Callable[[], Process]) -> None:
        self.kind, self._start = kind, start
        self.name = NAMES.get(kind, "worker")
        self.restarts = 0
        self.process: Process | None = None
        self._started_at = self._due_at = self._pause = 0.0

    def look(self) -> None:
        """Start the process when it is due. A start that fails is tried again; each pause is longer."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self._put_off(0.0 if now - self._started_at > STEADY_SECONDS else self._pause)
            ended = (self.name, self.process.pid, self.process.poll())
            self.restarts += 1
            log.warning("%s %s ended with code %s; another starts in %.1f s", *ended, self._pause)
            self.process = None
        if self.process is None and now >= self._due_at:
            self._started_at = now
            try:
                self.process = self._start()
            except Exception:
                self._put_off(self._pause)
                log.exception("no %s can be started just now", self.name)

    def seconds_until_due(self) -> float:
        """The seconds until look() must be called again."""
        return LOOK_SECONDS if self.process is not None else max(0.0, self._due_at - time.monotonic())

    def is_running(self) -> bool:
        """True while its process runs."""
        return self.process is not None and self.process.poll() is None

    def _put_off(self, last_pause: float) -> None:
        """Start the next process after a pause; each pause is twice as long as the last one."""
        self._pause = min(max(2 * last_pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self._due_at = time.monotonic() + self._pause


class Crew:
    """All processes of the service.

    WORKERS processes make jobs, and one more makes loops, so that a loop never waits for a song. run_web(place) is what
    a web process does. The crew has the last place of the board, and writes there how many processes run.
    """

    def __init__(self, web_processes: int, workers: int, run_web: Callable[[int], None], board: Board) -> None:
        web = [Member("web", lambda place=place: Fork(partial(run_web, place))) for place in range(web_processes)]  # type: ignore[misc]
        kinds = ["jobs"] * workers + ["loops"] * (workers > 0)
        self.members = web + [Member(kind, lambda kind=kind: worker(kind)) for kind in kinds]  # type: ignore[misc]
        self._board = board

    def run(self, signals: Signals) -> None:
        """Keep every process running until a signal to stop; then stop them."""
        while not signals.must_stop:
            for member in self.members:
                if not signals.must_stop:
                    member.look()
            self._board.write(self._board.places - 1, {"processes": self.state()})
            signals.wait(min(member.seconds_until_due() for member in self.members))
        self.stop(signals)

    def state(self) -> dict[str, dict[str, int]]:
        """By kind of process: how many there must be ("wanted"), how many run, and how often one was replaced."""
        state: dict[str, dict[str, int]] = {}
        for member in self.members:
            of_kind = state.setdefault(member.kind, {"wanted": 0, "running": 0, "restarts": 0})
            of_kind["wanted"] += 1
            of_kind["running"] += member.is_running()
            of_kind["restarts"] += member.restarts
        return state

    def stop(self, signals: Signals) -> None:
        """Send SIGTERM: each worker releases its lease and ends. Kill those that still run after ten seconds."""
        for member in self.members:
            if member.process is not None:
                member.process.terminate()
        until = time.monotonic() + STOP_SECONDS
        while any(member.is_running() for member in self.members) and time.monotonic() < until:
            signals.wait(0.2)
        for member in self.members:
            if member.process is not None and member.is_running():
                member.process.kill()
                while member.is_running():
                    signals.wait(0.1)


class Fork:
    """A copy of this process that runs a function. It starts at once, because everything is imported already."""

    def __init__(self, run: Callable[[], None]) -> None:
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=self._begin, args=(run,))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the copy has a handler of its own
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    @staticmethod
    def _begin(run: Callable[[], None]) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C, too, and sends SIGTERM
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        run()


def worker(kind: str) -> subprocess.Popen[bytes]:
    """Start a worker in the current working directory, because paths in the settings are relative to it."""
    begin = f"main([{kind!r}], parent={os.getpid()})"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from studio.worker import main; {begin}"
    return subprocess.Popen([sys.executable, "-c", code])
