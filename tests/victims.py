"""A service with all its processes, of which any may be killed at any moment."""

import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tests.conftest import wait_for
from tests.service import Server, group, is_fork

ALL, DATABASE = "all", "database server"
WORDS = {"worker for jobs": "main(['jobs']", "worker for loops": "main(['loops']", "supervisor": "studio.supervisor"}


@dataclass
class Victims:
    """A running service, and the PostgreSQL server that it uses; None on SQLite."""

    running: Server
    postgresql: Any = None

    def kill(self, chance: random.Random) -> str:
        """Kill one process, or all of the service, and start what nobody else starts. Returns what was killed."""
        kills = self._kills()
        name = chance.choice(sorted(kills))
        with suppress(ProcessLookupError):
            kills[name]()
        return name

    def _kills(self) -> dict[str, Callable[[], object]]:
        """What can be killed just now, and how."""
        assert self.running.process is not None
        kills: dict[str, Callable[[], object]] = {ALL: self._kill_all}
        if self.postgresql is not None:
            kills[DATABASE] = self._kill_database
        parent = psutil.Process(self.running.process.pid)
        for process in parent.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                words = " ".join(process.cmdline())
                names = [name for name, word in WORDS.items() if word in words]
                kills |= {name: process.kill for name in names or ["web process"] * is_fork(process, parent)}
        return kills

    def _kill_all(self) -> None:
        number = self.running.process.pid  # type: ignore[union-attr]
        self.running.signal_all(signal.SIGKILL)
        wait_for(lambda: not group(number), 30)
        self.running.start()

    def _kill_database(self) -> None:
        server = psutil.Process(self.postgresql.get_pid())
        server.kill()
        server.wait(30)
        wait_for(self._is_database_up, 60)

    def _is_database_up(self) -> bool:
        """Start PostgreSQL. False while processes of the killed one are there."""
        try:
            self.postgresql.ensure_postgres_running()
        except (subprocess.SubprocessError, AssertionError):
            return False
        return True
