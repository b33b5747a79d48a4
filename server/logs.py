"""Sends the log to stderr."""

import logging


def log_to_stderr() -> None:
    """Send the log of this service to stderr, one line for each entry."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("ledger")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False
