"""Settings of child processes (Linux): end with the parent, adopt orphans, and use the cores of the parent.

This module imports only the standard library, so that a process that imports it starts in a few milliseconds.
"""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from signal import SIGKILL

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # from <linux/prctl.h>
LOOK_SECONDS = 0.5
NICENESS = 10  # of work in the background
CORES = "LEDGER_CORES"  # in the environment of subprocesses


def die_with_parent(signal_number: int = SIGKILL) -> None:
    """Tell the kernel to send this process a signal when its parent dies. Does nothing outside Linux."""
    _prctl(PR_SET_PDEATHSIG, signal_number)


def on_death_of_parent(parent: int, act: Callable[[], object]) -> None:
    """Call act() in a thread when the parent process, which has this id, has died."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        act()

    threading.Thread(target=watch, daemon=True, name="on-death-of-parent").start()


def give_way() -> None:
    """Begin a subprocess that works in the background: it ends with its parent, and the service comes first."""
    die_with_parent()
    use_remembered_cores()
    os.nice(NICENESS)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies. Does nothing outside Linux."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def remember_cores() -> None:
    """Store the cores that this process may use now, so that its subprocesses can use all of them later (Linux)."""
    if sys.platform == "linux":
        os.environ[CORES] = ",".join(map(str, os.sched_getaffinity(0)))


def use_remembered_cores() -> None:
    """Run on the cores that the parent stored. Does nothing if it stored none (Linux)."""
    cores = os.environ.get(CORES)
    if sys.platform == "linux" and cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
