"""Child processes (Linux): how one ends with its parent, adopts orphans, and gets the cores of its parent.

Standard library alone, so that a process can import this and still start in a few milliseconds.
"""

import ctypes
import os
import sys
from signal import SIGKILL

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # from <linux/prctl.h>
CORES = "LEDGER_CORES"  # in the environment of subprocesses


def die_with_parent(signal_number: int = SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent dies; does nothing outside Linux."""
    _prctl(PR_SET_PDEATHSIG, signal_number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies; does nothing outside Linux."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def remember_cores() -> None:
    """Let subprocesses use the cores that this process may use now, though it will run on fewer itself (Linux)."""
    if sys.platform == "linux":
        os.environ[CORES] = ",".join(map(str, os.sched_getaffinity(0)))


def use_remembered_cores() -> None:
    """Run on the cores that the parent remembered. Does nothing if it remembered none (Linux)."""
    cores = os.environ.get(CORES)
    if sys.platform == "linux" and cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
