"""Derived files (an MP3, the peaks of a waveform): made of a sound file on first request, then cached.

Processes of their own make them (python -m files.sound), a few at once, so that the web process never loads numpy.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from database import give_back_connection
from errors import Busy, NotFound, StorageFull, Undecodable
from files.storage import Storage, derived, is_file, replace

Kind = Literal["mp3", "peaks"]

Made = TypeVar("Made")
log = logging.getLogger("ledger.derivatives")
ROOT = Path(__file__).parent.parent
AT_ONCE = 2
WAIT_SECONDS = 30.0
LONGEST_SECONDS = 3600.0
TICK_SECONDS = 0.2
UNUSABLE = 3  # the exit code of python -m files.sound for a file that is no sound


class Derivatives:
    """Makes each derivative once, however many ask for it at the same time. Ends with the process."""

    def __init__(self, storage: Storage, stopping: threading.Event, waiters: threading.BoundedSemaphore) -> None:
        self.storage, self.stopping, self._waiters = storage, stopping, waiters
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="derivatives")
        self._lock = threading.Lock()
        self._under_way: dict[Path, Future[Path]] = {}

    def get(self, source: Path, kind: Kind) -> Path:
        """The derivative's path. Raises Undecodable, StorageFull, NotFound, and Busy when it takes longer than that."""
        target = derived(source)[kind]
        if _is_fresh(target, source):
            return target
        with self._lock:
            making = self._under_way.get(target)
            if making is None:
                making = self._under_way[target] = self._pool.submit(self._make, source, target, kind)
                making.add_done_callback(lambda _: self._under_way.pop(target, None))
        return self._wait(making, WAIT_SECONDS)

    def probe(self, path: Path) -> dict[str, Any]:
        """What a file holds, by decoding it; see audio.probe. Raises Undecodable, StorageFull, Busy."""
        found: dict[str, Any] = json.loads(self._wait(self._pool.submit(self._run, "probe", path), LONGEST_SECONDS))
        return found

    def encode(self, source: Path, target: Path, kind: Literal["wav", "mp3"]) -> None:
        """Decode a file into another. Raises Undecodable, StorageFull, Busy."""
        self._wait(self._pool.submit(self._run, kind, source, target), LONGEST_SECONDS)

    def _wait(self, making: Future[Made], seconds: float) -> Made:
        """Its result; a connection is lent to others meanwhile, and only so many wait at a time."""
        give_back_connection()
        if not self._waiters.acquire(blocking=False):
            raise Busy("Too many are waiting for files to be made just now: ask again in a moment.")
        try:
            until = time.monotonic() + seconds
            while not self.stopping.is_set() and time.monotonic() < until:
                if wait([making], TICK_SECONDS).done:
                    return making.result()
        finally:
            self._waiters.release()
        raise Busy("This is being made from the track's file, and takes a while: ask again in a moment.")

    def _make(self, source: Path, target: Path, kind: Kind) -> Path:
        part = self.storage.part()
        try:
            self._run(kind, source, part)
            replace(part, target)
        except FileNotFoundError:
            raise NotFound("The track's file is gone.") from None
        finally:
            part.unlink(missing_ok=True)
        if not source.exists():  # deleted meanwhile
            target.unlink(missing_ok=True)
        return target

    def _run(self, verb: str, *paths: Path) -> str:
        command = [sys.executable, "-m", "files.sound", verb, *map(str, paths)]
        with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                said, error = self._communicate(process)
            finally:
                process.kill()
        if process.returncode == 0:
            return said
        if self.storage.is_full():
            raise StorageFull("The disk of the storage folder is full: free some space, then send this again.")
        if process.returncode == UNUSABLE:
            raise Undecodable(error.strip().rpartition("\n")[2])
        log.warning("%s ended with code %s: %s", verb, process.returncode, error)
        raise Undecodable("The file cannot be decoded: it is not sound, or more than can be worked with.")

    def _communicate(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        until = time.monotonic() + LONGEST_SECONDS
        while not self.stopping.is_set() and time.monotonic() < until:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=TICK_SECONDS)
        raise Busy("The service is stopping, or the file takes longer than an hour: ask again in a moment.")


def _is_fresh(target: Path, source: Path) -> bool:
    """True when there is a regular file made since the source was."""
    try:
        return is_file(target) and target.stat().st_mtime_ns >= source.stat().st_mtime_ns
    except FileNotFoundError:
        return False
