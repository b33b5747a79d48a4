"""A thread that repeats an action as long as the process lives, and says when it does not get through any more."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from database import AWAY, release_connection

log = logging.getLogger("ledger.periodic")
LATE_PERIODS = 3
LATE_SECONDS = 10.0  # at least: a busy machine may wake a thread seconds later
ACTION_SECONDS = 60.0  # one run of an action may take so long before it counts as late


class Periodic:
    """Runs an action every so many seconds in a thread of its own; an action that returns True runs again at once.

    An exception is logged, and the next run comes in its turn.
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
        """Wait until the thread has ended, at most so many seconds."""
        self._thread.join(seconds)

    def is_late(self) -> bool:
        """True when the action has not run to its end for three periods; while it runs it has a minute more."""
        allowed = max(LATE_PERIODS * self.seconds, LATE_SECONDS) + (ACTION_SECONDS if self._is_running else 0)
        return monotonic() - self._ran_at > allowed

    def run_once(self) -> bool:
        """Run the action; True when it wants to run again at once."""
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
