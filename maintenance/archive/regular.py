"""Archives regularly: a thread of the web process starts `python -m maintenance.archive`, if ARCHIVE_AFTER is set.

The work has a process of its own, so that it does not slow down requests. If several processes start it, one does the
work and the others end at once.
"""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from maintenance.clock import WatchedClock
from maintenance.periodic import Periodic
from settings import Settings

log = logging.getLogger("ledger.archive")
SECONDS = 600.0
TICK_SECONDS = 0.5
ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "maintenance.archive"]


def start(stopping: threading.Event) -> Periodic:
    """Start the thread, which ends when stopping is set.

    It archives nothing until the clock has run evenly for an hour: while the clock is wrong, every job may look old.
    """
    clock = WatchedClock()

    def look() -> None:
        if clock.is_steady():
            run(stopping)

    return Periodic("archive", SECONDS, look, stopping).start()


def run(stopping: threading.Event) -> None:
    """Move old jobs into the archive, in a process that ends with this one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(COMMAND, env=environment, stdin=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if stopping.wait(TICK_SECONDS):
                process.terminate()  # a later move finishes what this one has begun
                break
    if process.returncode and not stopping.is_set():
        log.warning("old jobs stay in the ledger for now; the process that archives them says why")


def regular_path(settings: Settings) -> Path:
    """Where jobs go regularly: archive.db beside the database; with PostgreSQL, beside DB_PATH."""
    return (settings.db_path if settings.is_postgresql else settings.sqlite_path).with_name("archive.db")
