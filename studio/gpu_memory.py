"""Measures the GPU memory of the generator, where nvidia-smi is there."""

import logging
import os
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

log = logging.getLogger("ledger.worker")
EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 10.0
JOIN_SECONDS = 1.0
QUERY = ("--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")


class GpuMemory:
    """A block in which the GPU memory of all processes below this one is measured every two seconds.

    peak: the most that they used at once, in MiB; None without nvidia-smi, or if they used none.
    """

    def __init__(self) -> None:
        self.peak: int | None = None
        self._program = shutil.which("nvidia-smi")
        self._ended = threading.Event()
        self._query: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        if self._program:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if not self._program:
            return
        self._thread.join(JOIN_SECONDS)
        if self._query is not None:
            _kill(self._query)  # it hangs
        self._thread.join(JOIN_SECONDS)

    def _measure(self) -> None:
        while True:
            try:
                used = self._used()
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                if self._ended.is_set():
                    return
                log.warning("the GPU memory of the generator is not measured: %s", error)
                return
            if used:
                self.peak = max(self.peak or 0, used)
            if self._ended.wait(EVERY_SECONDS):
                return

    def _used(self) -> int:
        """The memory that the processes below this one use now, in MiB. Raises OSError, ValueError, SubprocessError."""
        rows = [line.split(",") for line in self._printed().splitlines() if line.strip()]
        ours = processes_below(os.getpid())
        return sum(int(memory) for pid, memory in rows if int(pid) in ours)

    def _printed(self) -> str:
        """What nvidia-smi prints. Raises OSError, SubprocessError."""
        with subprocess.Popen(
            [str(self._program), *QUERY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as query:
            self._query = query
            try:
                printed, _ = query.communicate(timeout=PATIENCE_SECONDS)
            finally:
                _kill(query)
        if query.returncode:
            raise subprocess.CalledProcessError(query.returncode, query.args)
        return printed


def _kill(query: subprocess.Popen[str]) -> None:
    """Kill nvidia-smi and the processes that it has started, unless it has ended."""
    if query.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(query.pid, signal.SIGKILL)


def processes_below(ancestor: int) -> set[int]:
    """The ids of all processes that this process has started, and of those that they have started, and so on."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the process has ended
            parents[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    below: set[int] = set()
    while more := {pid for pid, parent in parents.items() if parent == ancestor or parent in below} - below:
        below |= more
    return below
