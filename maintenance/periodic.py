"""A thread that repeats an action as long as the process runs, and can tell when the action is late."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from database import AWAY, release_connection

log = logging.getLogger("ledger.periodic")
LATE_PERIODS = 3
LATE_SECONDS = 10.0  # at least: a busy machine may wake a thread seconds later
ACTION_SECONDS = 60.0  # a run of the action may take this long before it counts as late


class Periodic:
    """Runs an action at an interval (seconds) in a thread of its own.

    If the action returns True, it runs again at once. An exception is logged, and the next run comes after the
    interval.
    """

    def __init__(self, name: str, seconds: float, action: Callable[[], object], stopping: threading.Event) -> None:
        self.name, self.seconds = name, seconds
        self._action, self._stopping = action, stopping
        self._is_running, self._ran_at = False, monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)

    def start(self) -> "Periodic":
        """Start the thread, which ends when stopping is set."""
        self._ran_at = monotonic()
        self._thread.start()
        return self

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, at most these seconds."""
        self._thread.join(seconds)

    def is_late(self) -> bool:
        """True if the action has not finished for three intervals; a running action has one more minute."""
        allowed = max(LATE_PERIODS * self.seconds, LATE_SECONDS) + (ACTION_SECONDS if self._is_running else 0)
        return monotonic() - self._ran_at > allowed

    def run_once(self) -> bool:
        """Run the action and log its errors. True if the action must run again at once."""
        again = False
        with self._errors_logged():
            self._is_running = True
            try:
                again = self._action() is True
            finally:
                self._is_running = False
            self._ran_at = monotonic()
        return again

    def _run(self) -> None:
        while not self._stopping.wait(self.seconds):
            while self.run_once() and not self._stopping.is_set():
                pass
            with self._errors_logged():
                release_connection()

    @contextmanager
    def _errors_logged(self) -> Iterator[None]:
        try:
            yield
        except (*AWAY, OSError) as error:
            log.warning("%s goes on later: %s", self.name, error)
        except Exception:
            log.exception("%s met an error of this program, and goes on later", self.name)
