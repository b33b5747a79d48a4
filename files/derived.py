"""Derived files (MP3, waveform, cover, previews of seams): made from a sound file on first request, then cached.

Subprocesses make them, so the web process never loads numpy. AT_ONCE of them run at a time, and beside them
as many that make previews: a page may ask for five previews at once, and an upload must not wait for them. One more
makes the covers of an archive, one after another, and then the archive.
"""

import hashlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV
from tempfile import TemporaryFile
from typing import IO, Any, Literal, TypeVar

from database import give_back_connection, release_connection
from errors import Busy, Conflict, LedgerError, NotFound, Undecodable
from files.cache import COVER, SEAM
from files.digests import digest
from files.publishing import publish_file
from files.refusals import refusal, storage_errors
from files.storage import Storage, is_file

Made = TypeVar("Made")
log = logging.getLogger("ledger.derivatives")
ROOT = Path(__file__).parent.parent
AT_ONCE = 2
BATCHES = 4  # one is at work, and the others wait
LONGEST_SECONDS = 3600.0
TICK_SECONDS = 0.2
UNUSABLE = 3  # the exit code of a subprocess for a file that is not sound
CRASHES = {-number for number in (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV)}  # exit codes: the file crashes its decoder
SOUND = "files.sound"
GONE = "The track's file is gone."


@dataclass(frozen=True)
class Recipe:
    """How a derived file is made: its suffix, and the module with the arguments that come before SOURCE and TARGET.

    sha256: If set, the source must have this SHA-256. needs: another derived file that is made first. Its path is the
    argument before SOURCE. It is made from the same source, or from `beside`. is_strict: without that file, this one is
    not made; otherwise the argument is then a path without a file. text: what the module reads from standard input.
    """

    suffix: str
    command: tuple[str, ...]
    sha256: str | None = None
    needs: "Recipe | None" = None
    beside: Path | None = None
    is_strict: bool = True
    text: str = ""


MP3 = Recipe("mp3", (SOUND, "mp3"))
WAVEFORM = Recipe("waveform.json", (SOUND, "waveform"))


def seam_preview(start: float, end: float, crossfade: float, sha256: str) -> Recipe:
    """A WAV with the sound around a seam; start, end and crossfade are seconds in the source with this SHA-256."""
    return _of_seam("wav", (), {"start": start, "end": end, "crossfade": crossfade}, sha256)


def seam_outline(start: float, end: float, sha256: str) -> Recipe:
    """JSON with the outline of the sound at both ends of a seam; see seam_preview()."""
    return _of_seam("json", ("--outline",), {"start": start, "end": end, "crossfade": 0.0}, sha256)


def drawn_cover(title: str) -> Recipe:
    """A PNG of the waveform and the title of a track."""
    return Recipe(f"{COVER}-{short_digest(title)}.png", ("files.drawing",), needs=WAVEFORM, text=title)


def short_digest(text: str) -> str:
    """A part of the SHA-256 of a text, for the name of a file that is made from it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _of_seam(kind: str, flags: tuple[str, ...], seconds: dict[str, float], sha256: str) -> Recipe:
    options = [f"--{name}={value!r}" for name, value in seconds.items()]
    suffix = "-".join([SEAM, *(f"{value:.6f}" for value in seconds.values()), sha256[:8]])
    return Recipe(f"{suffix}.{kind}", ("studio.looper.preview", *flags, *options), sha256)


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
        self._preview_pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="previews")
        self._batch_pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._batches = threading.BoundedSemaphore(BATCHES)
        self._lock = threading.Lock()
        self._under_way: dict[Path, Future[Path]] = {}

    def get(self, recipe: Recipe, *sources: Path) -> Path:
        """The path of the derived file. Raises NotFound, and BeingMade if the file is not cached.

        sources: the files that may have the SHA-256 of the recipe; for a recipe without one, the file to make it from.
        The future of BeingMade has the path, or one of the errors Undecodable, NotFound, Conflict, Busy,
        StorageFull, StorageUnusable. Conflict: no source is the one that the recipe is for.
        """
        targets = [path for source in sources if (path := self._target(source, recipe))]
        if not targets:
            raise NotFound(GONE)
        made = next(filter(is_file, targets), None)
        if made is not None:
            return made
        raise BeingMade(self._start(recipe, sources, targets[0]))

    def _start(self, recipe: Recipe, sources: tuple[Path, ...], target: Path) -> Future[Path]:
        """The future of the work on a derived file. target: the same for requests that share the work."""
        with self._lock:
            making = self._under_way.get(target)
            if making is None:
                pool = self._pool if recipe.sha256 is None else self._preview_pool
                making = self._under_way[target] = pool.submit(self._make, recipe, sources)
                making.add_done_callback(lambda _: self._under_way.pop(target, None))
        return making

    def make_all(
        self, recipes: Sequence[tuple[Recipe, Path]], seconds: float, then: Callable[[], Made]
    ) -> Future[Made] | None:
        """Make files from their sources, one after another, until so many seconds from now; then call then().

        Files that are there already are not made again; what cannot be made is left out. The future has the result of
        then(). If BATCHES of these calls are not done yet, this returns None, and nothing is made.
        """
        if not self._batches.acquire(blocking=False):
            return None
        end = time.monotonic() + seconds
        making = self._batch_pool.submit(self._make_all, recipes, end, then)
        making.add_done_callback(lambda _: self._batches.release())
        return making

    def _make_all(self, recipes: Sequence[tuple[Recipe, Path]], end: float, then: Callable[[], Made]) -> Made:
        try:
            for recipe, source in recipes:
                if time.monotonic() > end or self.stopping.is_set():
                    break
                with suppress(LedgerError):
                    self._needed(recipe, source)
            return then()
        finally:
            release_connection()

    def probe(self, path: Path) -> dict[str, Any]:
        """Decode a file to learn what it contains. Returns the same as files.sound.probe().

        Raises Undecodable, StorageFull, Busy.
        """
        facts: dict[str, Any] = json.loads(self._wait(self._pool.submit(self._run, SOUND, "probe", path)))
        return facts

    def encode(self, source: Path, target: Path, kind: Literal["wav", "mp3"]) -> None:
        """Decode a file and encode it into another. Raises Undecodable, StorageFull, Busy."""
        self._wait(self._pool.submit(self._run, SOUND, kind, source, target))

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

    def _make(self, recipe: Recipe, sources: tuple[Path, ...]) -> Path:
        """Make the derived file under a temporary name, and rename it when it is complete."""
        with storage_errors():
            source, target = self._choose(recipe, sources)
            part = self.storage.part()
            try:
                part.touch()  # this error has a reason; the error of an encoder does not
                needed = self._needed_by(recipe, source)
                self._run(*recipe.command, *needed, source, part, text=recipe.text)
                publish_file(part, target)
            finally:
                part.unlink(missing_ok=True)
        if self._target(source, recipe) != target:
            target.unlink(missing_ok=True)
            raise NotFound("The track's file changed while something was made from it: ask again.")
        return target

    def _needed_by(self, recipe: Recipe, source: Path) -> list[Path]:
        """The path of the file that a recipe needs, if it needs one. Raises Undecodable if it cannot do without."""
        if recipe.needs is None:
            return []
        try:
            return [self._needed(recipe.needs, recipe.beside or source)]
        except Undecodable:
            if recipe.is_strict:
                raise
            return [self.storage.part()]

    def _needed(self, recipe: Recipe, source: Path) -> Path:
        """The path of another derived file of a source. It is made now if it is not there."""
        path = self._target(source, recipe)
        return path if path is not None and is_file(path) else self._make(recipe, (source,))

    def _choose(self, recipe: Recipe, sources: tuple[Path, ...]) -> tuple[Path, Path]:
        """(the source that the recipe is for, the path of the derived file). Raises Conflict, NotFound.

        The path is computed before the digest. So if the source changes after this, the path is another when the
        derived file is complete.
        """
        has_source = False
        for source in sources:
            with suppress(FileNotFoundError):
                target = self.storage.derived(source, recipe.suffix)
                if recipe.sha256 is None or digest(source) == recipe.sha256:
                    return source, target
                has_source = True
        if has_source:
            raise Conflict("The sound of the track was replaced after this loop was cut: make the loop again.")
        raise NotFound(GONE)

    def _target(self, source: Path, recipe: Recipe) -> Path | None:
        """The path of the derived file of the current version of a source; None if the source is gone.

        A deletion removes the source first and its derived files second. So either the deletion finds a new derived
        file, or _make() finds that the source is missing.
        """
        try:
            return self.storage.derived(source, recipe.suffix)
        except FileNotFoundError:
            return None

    def _run(self, module: str, *arguments: str | Path, text: str = "") -> str:
        """Run `python -m MODULE ARGUMENTS` with this standard input. Returns what it prints.

        Raises Undecodable, StorageFull, Busy.
        """
        command = [sys.executable, "-m", module, *map(str, arguments)]
        with TemporaryFile() as file, _start(command, file, text) as process:
            try:
                output, error = self._communicate(process)
            finally:
                process.kill()
        if process.returncode == 0:
            return output
        if process.returncode != UNUSABLE:
            log.warning("%s %s ended with code %s: %s", module, arguments[0], process.returncode, error)
        if self.storage.is_full():
            raise refusal(OSError(ENOSPC, "no space left"))
        raise _failure(process.returncode, error)

    def _communicate(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not self.stopping.is_set() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=TICK_SECONDS)
        raise Busy("The service is stopping, or the file takes longer than an hour: ask again in a moment.")


def _start(command: list[str], file: IO[bytes], text: str) -> subprocess.Popen[str]:
    """Start a command that reads the text from a file: a pipe could be full."""
    file.write(text.encode("utf-8", "surrogatepass"))
    file.seek(0)
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _failure(code: int, error: str) -> LedgerError:
    """The error for a subprocess that ended with this code, after it wrote this to standard error."""
    if code == UNUSABLE:
        return Undecodable(error.strip().rpartition("\n")[2])
    if code < 0 and code not in CRASHES:
        return Busy(
            "The process that decodes the file was killed, maybe for want of memory: send this again in a moment."
        )
    return Undecodable("The file cannot be decoded: it is not sound, or too large to work with.")
