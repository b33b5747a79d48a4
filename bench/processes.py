"""Looks at running processes (Linux): their children, memory, open files and cores."""

import os
from pathlib import Path


def children(pid: int) -> list[int]:
    """The ids of the children of a process."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for text in texts for child in text.split()]


def descendants(pid: int) -> list[int]:
    """The ids of the children of a process, and of theirs."""
    return [member for child in children(pid) for member in (child, *descendants(child))]


def command(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def web_process(parent: int) -> int:
    """The id of the web process of a running service: the child of its parent process."""
    return next(pid for pid in children(parent) if "app.py" in command(pid))


def is_running(pid: int) -> bool:
    """True for a process that has not ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def memory_mb(pid: int) -> float:
    """The resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1_000_000


def open_files(pid: int) -> int:
    """The number of open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def other_cores(pid: int) -> set[int]:
    """The cores that a process and its descendants leave free; all cores if they leave none."""
    allowed = os.sched_getaffinity(0)
    used = min((os.sched_getaffinity(member) for member in (pid, *descendants(pid))), key=len)
    return allowed - used or allowed
