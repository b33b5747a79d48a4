"""Which core the web process runs on: threads of one Python interpreter only fight over more than one."""

import os
import sys

from files.child import remember_cores


def choose_core(port: int) -> None:
    """Keep this process on one of the cores it was started with; servers on other ports take other cores (Linux)."""
    if sys.platform == "linux":
        remember_cores()
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[port % len(allowed)]})
