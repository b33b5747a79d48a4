"""Runs the web process on one CPU core (Linux): on several cores, the threads of one interpreter are slower."""

import os
import socket
import sys
from collections.abc import Collection


def pin_to_core(port: int) -> socket.socket | None:
    """Run this process on one of the cores that it may use; if possible, on a core that no other web process uses.

    Returns the socket that reserves the core: keep it open. None if every core is reserved, or outside Linux.
    """
    if sys.platform != "linux":
        return None
    core, reservation = choose_core(os.sched_getaffinity(0), port)
    os.sched_setaffinity(0, {core})
    return reservation


def choose_core(cores: Collection[int], port: int) -> tuple[int, socket.socket | None]:
    """(a core, the socket that reserves it or None). The port decides which core is tried first."""
    ordered = sorted(cores)
    first = port % len(ordered)
    for core in ordered[first:] + ordered[:first]:
        if reservation := reserve_core(core):
            return core, reservation
    return ordered[first], None


def reserve_core(core: int) -> socket.socket | None:
    """A socket that reserves a core until it is closed or this process ends; None if another process reserves it."""
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0diffrhythm-ledger-core-{core}")
    except OSError:
        reservation.close()
        return None
    return reservation
