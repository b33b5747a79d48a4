"""Derived files (MP3, waveform peaks): made from a sound file on first request, then cached.

Subprocesses (python -m files.sound) make them, so the web process never loads numpy. AT_ONCE of them run at a time.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path
from typing import Any, Literal, TypeVar

from database import give_back_connection
from errors import Busy, NotFound, Undecodable
from files.publishing import publish_file
from files.refusals import refusal, storage_errors
from files.storage import Storage, is_file

Kind = Literal["mp3", "peaks"]
SUFFIXES: dict[Kind, str] = {"mp3": "mp3", "peaks": "json"}

Made = TypeVar("Made")
log = logging.getLogger("ledger.derivatives")
ROOT = Path(__file__).parent.parent
AT_ONCE = 2
LONGEST_SECONDS = 3600.0
TICK_SECONDS = 0.2
UNUSABLE = 3  # the exit code of python -m files.sound for a file that is not sound


class BeingMade(Exception):
    """The file is being made; the future has its path when it is there."""

    def __init__(self, future: Future[Path]) -> None:
        super().__init__("the file is being made")
        self.future = future


class Derivatives:
    """Makes derived files. Requests that need the same file at the same time share one subprocess."""

    def __init__(self, storage: Storage, stopping: threading.Event) -> None:
        self.storage, self.stopping = storage, stopping
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="derivatives")
        self._lock = threading.Lock()
        self._under_way: dict[Path, Future[Path]] = {}

    def get(self, source: Path, kind: Kind) -> Path:
        """The path of the derived file. Raises NotFound, and BeingMade if the file is not cached.

        The future of BeingMade has the path, or one of the errors Undecodable, NotFound, StorageFull, StorageUnusable.
        """
        try:
            target = self.storage.derived(source, SUFFIXES[kind])
        except FileNotFoundError:
            raise NotFound("The track's file is gone.") from None
        if is_file(target):
            return target
        with self._lock:
            making = self._under_way.get(target)
            if making is None:
                making = self._under_way[target] = self._pool.submit(self._make, source, target, kind)
                making.add_done_callback(lambda _: self._under_way.pop(target, None))
        raise BeingMade(making)

    def probe(self, path: Path) -> dict[str, Any]:
        """Decode a file to learn what it contains. Returns the same as files.sound.probe().

        Raises Undecodable, StorageFull, Busy.
        """
        facts: dict[str, Any] = json.loads(self._wait(self._pool.submit(self._run, "probe", path)))
        return facts

    def encode(self, source: Path, target: Path, kind: Literal["wav", "mp3"]) -> None:
        """Decode a file and encode it into another. Raises Undecodable, StorageFull, Busy."""
        self._wait(self._pool.submit(self._run, kind, source, target))

    def _wait(self, making: Future[Made]) -> Made:
        """Wait for the result of a task. Raises Busy when the process stops, or after an hour.

        While this request waits, other requests may use its database connection.
        """
        give_back_connection()
        deadline = time.monotonic() + LONGEST_SECONDS
        while not self.stopping.is_set() and time.monotonic() < deadline:
            if wait([making], TICK_SECONDS).done:
                return making.result()
        raise Busy("The service is stopping, or the file takes longer than an hour: send this again in a moment.")

    def _make(self, source: Path, target: Path, kind: Kind) -> Path:
        """Make the derived file under a temporary name, and rename it when it is complete."""
        with storage_errors():
            part = self.storage.part()
            try:
                part.touch()  # this error has a reason; the error of an encoder does not
                self._run(kind, source, part)
                publish_file(part, target)
            finally:
                part.unlink(missing_ok=True)
        if not self._is_current(source, target, kind):
            target.unlink(missing_ok=True)
            raise NotFound("The track's file changed while something was made from it: ask again.")
        return target

    def _is_current(self, source: Path, target: Path, kind: Kind) -> bool:
        """False if the source was changed or deleted since this work began.

        A deletion removes the source first and its derived files second. So either the deletion finds this derived
        file, or this check finds that the source is missing.
        """
        try:
            return self.storage.derived(source, SUFFIXES[kind]) == target
        except FileNotFoundError:
            return False

    def _run(self, verb: str, *paths: Path) -> str:
        """Run `python -m files.sound`. Returns what it prints. Raises Undecodable, StorageFull, Busy."""
        command = [sys.executable, "-m", "files.sound", verb, *map(str, paths)]
        with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                output, error = self._communicate(process)
            finally:
                process.kill()
        if process.returncode == 0:
            return output
        if self.storage.is_full():
            raise refusal(OSError(ENOSPC, "no space left"))
        if process.returncode == UNUSABLE:
            raise Undecodable(error.strip().rpartition("\n")[2])
        log.warning("%s ended with code %s: %s", verb, process.returncode, error)
        raise Undecodable("The file cannot be decoded: it is not sound, or too large to work with.")

    def _communicate(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not self.stopping.is_set() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=TICK_SECONDS)
        raise Busy("The service is stopping, or the file takes longer than an hour: ask again in a moment.")
