"""Shows the progress of a worker: a bar on a terminal, otherwise a log line for every change."""

import logging
import sys

log = logging.getLogger("ledger.worker")
WIDTH = 30
LONGEST = 60


def show(name: str, status: str, progress: int, message: str = "") -> None:
    """Show the progress. An empty message ends the line of the bar."""
    if not sys.stderr.isatty():
        log.info("%s %s %s%% %.*s", name, status, progress, LONGEST, message)
        return
    bar = ("█" * (progress * WIDTH // 100)).ljust(WIDTH, "░")
    line = f"\r{name[:24]:24} {bar} {progress:3}% {status:18} {message[:LONGEST]}"
    print(f"{line:<140}", end="" if message else "\n", file=sys.stderr, flush=True)
