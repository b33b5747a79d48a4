"""What is made of a sound file when it is first asked for, and then kept beside it: its MP3 and its waveform's peaks.

Made by processes of their own (python -m audio), a few at once, so that the web needs neither numpy nor the patience.
"""

import json
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Literal

from errors import Busy, StorageFull, Undecodable
from storage import Storage, derived, is_file, publish_file

Kind = Literal["mp3", "peaks"]

ROOT = Path(__file__).parent
AT_ONCE = 2
WAIT_SECONDS = 30.0
LONGEST_SECONDS = 3600.0


class Derivatives:
    """Makes each derivative once, however many ask for it at the same time."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="derivatives")
        self._lock = threading.Lock()
        self._under_way: dict[Path, Future[Path]] = {}

    def get(self, source: Path, kind: Kind) -> Path:
        """The derivative's path. Raises Undecodable, StorageFull, and Busy when it takes longer than half a minute."""
        target = derived(source)[kind]
        if _is_fresh(target, source):
            return target
        with self._lock:
            making = self._under_way.get(target)
            if making is None:
                making = self._under_way[target] = self._pool.submit(self._make, source, target, kind)
                making.add_done_callback(lambda _: self._under_way.pop(target, None))
        if wait([making], WAIT_SECONDS).not_done:
            raise Busy("This is being made from the track's file, and takes a while: ask again in a moment.")
        return making.result()

    def probe(self, path: Path) -> dict[str, Any]:
        """What a file holds, by decoding it; see audio.probe. Raises Undecodable, StorageFull."""
        found: dict[str, Any] = json.loads(self._run("probe", path))
        return found

    def encode(self, source: Path, target: Path, kind: Literal["wav", "mp3"]) -> None:
        """Decode a file into another. Raises Undecodable, StorageFull."""
        self._run(kind, source, target)

    def _make(self, source: Path, target: Path, kind: Kind) -> Path:
        part = self.storage.part()
        try:
            self._run(kind, source, part)
            publish_file(part, target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def _run(self, verb: str, *paths: Path) -> str:
        command = [sys.executable, "-m", "audio", verb, *map(str, paths)]
        try:
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            raise Undecodable("The file takes longer than an hour to decode.") from None
        if ended.returncode == 0:
            return ended.stdout
        if self.storage.is_full():
            raise StorageFull("The disk of the storage folder is full: free some space, then send this again.")
        last = ended.stderr.strip().rpartition("\n")[2]
        raise Undecodable(last if ended.returncode == 1 and last else "The file crashes the decoder.")


def _is_fresh(target: Path, source: Path) -> bool:
    """True when there is a regular file made since the source was."""
    return is_file(target) and target.stat().st_mtime_ns >= source.stat().st_mtime_ns
