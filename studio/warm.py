"""The warm generators of a worker, and the GPUs that it has: at most one process for each GPU."""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.gpu import GpuLock
from studio.messages import Message
from studio.warm_process import WarmProcess

worker_log = logging.getLogger("ledger.worker")
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 2.0  # a process that is idle for so long releases the GPU if another worker asks for it
TURN_SECONDS = 600.0  # a process that always has work releases the GPU if another worker asks for so long
MOMENT_SECONDS = 0.1  # longer than a look of tend() that stops no process
PAUSE_SECONDS = 1.0  # for the worker that has asked, before this worker locks the GPU again


class GpuBusy(Exception):
    """Another worker has the GPU."""


@dataclass(frozen=True)
class WarmRecipe:
    """How to start the warm process of a recipe. A job for which this is different restarts the process.

    An empty gpu means that it needs none. idle_seconds: it is stopped after so long without a job. failed: texts that
    mean failure when the process prints them during a request, even if it says that it is done.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu: str = ""
    idle_seconds: float = 300.0
    failed: Collection[str] = ()


class Place:
    """The place of one warm process: a GPU with its lock, or the place of a recipe that needs no GPU."""

    def __init__(self, gpu: str) -> None:
        self.lock = GpuLock(gpu) if gpu else None
        self.is_in_use = False  # by a job
        self._recipe: WarmRecipe | None = None
        self._process: WarmProcess | None = None
        self._asked_at = math.inf
        self._paused_until = 0.0

    def reserve(self) -> bool:
        """Keep the place for a job. False if another worker has the GPU, or has waited so long that it is its turn."""
        if self.lock is None:
            self.is_in_use = True
        elif self._is_turn_of_others(time.monotonic()):
            return False
        else:
            self.is_in_use = self.lock.acquire()
        return self.is_in_use

    def descriptors(self) -> tuple[int, ...]:
        """The file descriptors of the lock, for a supervisor to inherit."""
        return (self.lock.fileno(),) if self.lock else ()

    def load(self, recipe: WarmRecipe) -> WarmProcess:
        """The running process of a recipe: the one that is here, or a new one."""
        if self._process is None or self._recipe != recipe or not self._process.is_alive:
            self.unload()
            words, locks = list(recipe.command), self.descriptors()
            process = WarmProcess(words, recipe.folder, recipe.environment, locks, recipe.failed)
            self._recipe, self._process = recipe, process
        return self._process

    def unload(self) -> None:
        """Stop the process that is here."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def tend(self, now: float) -> None:
        """Stop the process if it has died or must go, and free the GPU if nothing needs it."""
        self._note_wish(now)
        if self.is_in_use:
            return
        if self._process is not None and self._recipe is not None:
            self._process.drain()
            if self._must_let_go(now - self._process.idle_since, now):
                self.unload()
                self._paused_until = time.monotonic() + PAUSE_SECONDS
            elif now - self._process.idle_since >= self._recipe.idle_seconds or not self._process.is_alive:
                self.unload()
        self.free()

    def free(self) -> None:
        """Free the GPU if no job uses it and no process is on it."""
        if self.lock and self._process is None and not self.is_in_use:
            self.lock.release()

    def ask(self) -> None:
        """Ask the worker that has the GPU to release it."""
        if self.lock:
            self.lock.ask()

    def withdraw(self) -> None:
        """End the request for the GPU."""
        if self.lock:
            self.lock.withdraw()

    def close(self) -> None:
        """Stop the process, and free the GPU."""
        self.is_in_use = False
        self.unload()
        self.withdraw()
        if self.lock:
            self.lock.release()

    def _note_wish(self, now: float) -> None:
        """Note since when another worker has asked for the GPU. Update the time of the lock file."""
        is_asked = self.lock is not None and self.lock.is_held and self.lock.is_wanted()
        self._asked_at = min(now, self._asked_at) if is_asked else math.inf
        if self.lock:
            self.lock.touch()

    def _must_let_go(self, idle: float, now: float) -> bool:
        is_asked = self._asked_at < math.inf
        return is_asked and (idle >= PATIENCE_SECONDS or self._is_turn_of_others(now))

    def _is_turn_of_others(self, now: float) -> bool:
        """True if another worker has asked for long, or if this one has just released the GPU for another one."""
        is_paused = self.lock is not None and not self.lock.is_held and now < self._paused_until
        return is_paused or now - self._asked_at >= TURN_SECONDS


class Warm:
    """The warm processes of a worker: one for each GPU, and for each recipe that needs none.

    A job that needs a GPU runs between reserve() and leave(). After leave(), the worker keeps the GPU as long as a
    process with a loaded model is on it. tend() ends such processes in time: watch() calls it, also during jobs. An
    empty word stands for no GPU: it is always free. The methods may be called from several threads.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._gpus: dict[str, Place] = {}  # by the word
        self._others: dict[str, Place] = {}  # by the name of the recipe

    def reserve(self, gpu: str) -> bool:
        """Keep a GPU for a job of this worker. Does not wait: it may be called in a transaction.

        False if another worker or its generator has the GPU, if one has asked for so long that it is its turn, and
        while tend() stops a process. Call it before each job, and leave() if it returns False.
        """
        if not self._mutex.acquire(timeout=MOMENT_SECONDS):
            return False
        try:
            return self._gpu(gpu).reserve()
        finally:
            self._mutex.release()

    def leave(self, gpu: str) -> None:
        """End the use of a GPU by a job. Does not wait.

        The GPU is free then, unless a model of this worker is loaded on it. While tend() stops a process, the next
        tend() frees it.
        """
        self._gpu(gpu).is_in_use = False
        if self._mutex.acquire(timeout=MOMENT_SECONDS):
            try:
                self._gpu(gpu).free()
            finally:
                self._mutex.release()

    def unload(self, gpu: str) -> tuple[int, ...]:
        """Stop the warm process on a reserved GPU, for a job that runs a command.

        Returns the file descriptors that the supervisor of the command must inherit, so that the GPU stays locked.
        """
        with self._mutex:
            self._gpu(gpu).unload()
            return self._gpu(gpu).descriptors()

    def ask(self, gpu: str) -> None:
        """Ask the worker that has a GPU to release it. Repeat it while a job waits: one call may have no effect.

        The request ends when reserve() returns True, or with withdraw().
        """
        with self._mutex:
            self._gpu(gpu).ask()

    def withdraw(self, gpu: str) -> None:
        """End the request for a GPU: no job waits for it any more."""
        with self._mutex:
            self._gpu(gpu).withdraw()

    def request(
        self, recipe: WarmRecipe, order: Mapping[str, Any], log: Path, stop: Callable[[], bool], seconds: float
    ) -> Iterator[Message]:
        """Send a request to the process of a recipe, as WarmProcess.request() does. Starts the process if it must.

        A process of another recipe on the same GPU is stopped first. If the recipe has a GPU, the caller ends the job
        with leave(). Raises GpuBusy if the GPU is not reserved and another worker has it, and the errors of
        WarmProcess.
        """
        place = self._gpu(recipe.gpu) if recipe.gpu else self._others.setdefault(recipe.name, Place(""))
        try:
            with self._mutex:
                if not (place.is_in_use or place.reserve()):
                    raise GpuBusy(f"another worker has the GPU {recipe.gpu}")
                process = place.load(recipe)
            yield from process.request(order, log, stop, seconds)
        finally:
            if not recipe.gpu:
                place.is_in_use = False

    def tend(self, now: float) -> None:
        """Stop the processes that have died, that are idle for too long, or whose GPU another worker asks for.

        now is a time of time.monotonic().
        """
        with self._mutex:
            for place in self._places():
                place.tend(now)

    def watch(self, shutdown: threading.Event) -> None:
        """Call tend() again and again until shutdown is set. Run it in a thread."""
        while not shutdown.wait(LOOK_SECONDS):
            try:
                self.tend(time.monotonic())
            except OSError as error:
                worker_log.warning("warm generators are not looked after: %s", error)

    def close(self) -> None:
        """Stop all processes and free all GPUs."""
        with self._mutex:
            for place in self._places():
                place.close()

    def _places(self) -> list[Place]:
        return [*self._gpus.values(), *self._others.values()]

    def _gpu(self, gpu: str) -> Place:
        return self._gpus.setdefault(gpu, Place(gpu))
