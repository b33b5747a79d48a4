"""One attempt at a piece of work, under a lease that is kept while it lasts; songs.py and loops.py make something."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from database import AWAY, release_connection
from errors import Invalid, LeaseLost, LedgerError
from files.deletion import named
from files.publishing import make_folder
from files.storage import Storage
from repos import JobRepository, LoopRepository
from settings import Settings
from studio import display
from studio.process import Process

log = logging.getLogger("ledger.worker")
Answer = TypeVar("Answer")
LOOK_SECONDS = 0.5
REPORT_SECONDS = 0.5
UNKNOWN = "unknown"
FULL = (ENOSPC, EDQUOT)
FULL_DISK = "the disk of the storage folder is full; make room and it goes on"


class Stopped(Exception):
    """The attempt ends here: `why` is lost, cancelled or shutdown."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Failed(Exception):
    """The work cannot be done; the sentence is its error."""


class Lease:
    """Keeps a lease in a thread of its own, and knows why to stop; kept() is called when it is renewed."""

    def __init__(
        self, repo: JobRepository | LoopRepository, record: Any, shutdown: threading.Event, kept: Callable[[], None]
    ) -> None:
        self.repo, self.record_id, self.shutdown = repo, record.record_id, shutdown
        self.token: str = record.lease_token
        self.name = f"{repo.name} {record.record_id}"
        self.seconds: float = record.lease_seconds
        self.why: str | None = None
        self._kept, self._ended = kept, threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def stop(self) -> bool:
        """True when the attempt must end."""
        if self.why is None and self.shutdown.is_set():
            self.why = "shutdown"
        return self.why is not None

    def check(self) -> None:
        """Raises Stopped when the attempt must end."""
        if self.stop():
            raise Stopped(str(self.why))

    def _keep(self) -> None:
        """Look for a cancel often, renew the lease every third of it; a database that is away is asked again."""
        renewed = time.monotonic()
        while self.why != "lost" and not self._ended.wait(min(LOOK_SECONDS, self.seconds / 4)):
            due = time.monotonic() - renewed > self.seconds / 3
            try:
                self._look(due)
                renewed = time.monotonic() if due else renewed
            except LeaseLost:
                self.why = "lost"
            except AWAY as error:
                log.warning("%s: the database does not answer, its lease is not renewed: %s", self.name, error)
                release_connection()  # it may be dead; the next look opens another
        release_connection()

    def _look(self, renew: bool) -> None:
        repo = self.repo
        record = repo.heartbeat(self.record_id, self.token) if renew else repo.get_by_id(self.record_id)
        if renew:
            self._kept()
        if record is None or record.lease_token != self.token:
            self.why = "lost"
        elif record.cancel_requested:
            self.why = self.why or "cancelled"


class Attempt:
    """What a worker does with a claimed job or loop.

    A subclass has a repository, make(), and about: what is wanted, in words.
    """

    repo: ClassVar[JobRepository | LoopRepository]
    about: str
    maker, limit = "the generator", ""

    def __init__(self, settings: Settings, record: Any, shutdown: threading.Event) -> None:
        self.settings, self.record, self.storage = settings, record, Storage(settings)
        self.lease = Lease(self.repo, record, shutdown, self._touch)
        self.name = self.lease.name
        self.work = self.storage.workshop(self.lease.token)
        self.final = self.storage.attempt(self.repo.name, record.record_id, self.lease.token)
        self.status, self.progress, self.reported = record.status, 0, 0.0

    def make(self) -> str:
        """Every step from the claim to the recorded result; how it ended.

        Raises Stopped, Failed, LeaseLost, OSError.
        """
        raise NotImplementedError

    def run(self) -> str:
        """How it ended: a final status, or released, lost or unknown. Raises OSError for a full disk.

        Unknown: the database went away while it was told of the result, so its files stay; if it was not told, the
        lease runs out and they are removed then.
        """
        outcome = "lost"
        with self.lease:
            try:
                self._clear_earlier()
                outcome = self.make()
            except Stopped as stopped:
                outcome = self._give_up(stopped.why)
            except (Failed, Invalid) as error:
                outcome = self._end(self.repo.statuses.failed, error=str(error))
            except LeaseLost:
                outcome = "lost"
            except OSError as error:
                outcome = self._stumble(error)
            finally:
                self._tidy(outcome)
        return outcome

    def _clear_earlier(self) -> None:
        """Remove what attempts that were killed have left, but nothing that a record names."""
        self.work.mkdir(exist_ok=True)
        for folder in self.storage.earlier_attempts(self.repo.name, self.record.record_id):
            if not named(self.storage, [path for path in folder.rglob("*") if path.is_file()]):
                shutil.rmtree(folder, ignore_errors=True)

    def _stumble(self, error: OSError) -> str:
        """Failed, unless the disk is full and stays so without this attempt's files: then raises the OSError."""
        why = error.strerror or str(error)
        if error.errno not in FULL:
            return self._end(self.repo.statuses.failed, error=f"the worker cannot go on: {why}")
        self._tidy("lost")
        if not self.storage.is_full():
            return self._end(
                self.repo.statuses.failed, error="it takes more room than the disk has: make room and retry"
            )
        self._put_back(f"waits: {why}")
        raise error

    def _touch(self) -> None:
        """Let housekeeping see that the unfinished files are still wanted."""
        with suppress(FileNotFoundError):
            os.utime(self.work)

    def _tidy(self, outcome: str) -> None:
        if outcome in (self.repo.statuses.completed, UNKNOWN):
            shutil.rmtree(self.work, ignore_errors=True)
        else:
            self.storage.remove_attempt(self.repo.name, self.record.record_id, self.lease.token)

    def process(
        self, command: list[str], folder: Path, seconds: float, output: Path, follow: Callable[[str], None]
    ) -> None:
        """Run a command in a folder to its end, what it prints going to output and to follow, line by line.

        Raises Stopped, Failed with the last lines it printed or after so many seconds, OSError.
        """
        make_folder(output.parent)
        process = Process(command, output, folder)
        try:
            for line in process.lines(self.lease.stop, seconds):
                follow(line)
        except TimeoutError:
            raise Failed(f"{self.maker} took longer than {seconds:g} seconds and was stopped{self.limit}") from None
        finally:
            process.close()
        self.lease.check()
        if process.code != 0 and self.storage.is_full():
            raise OSError(ENOSPC, FULL_DISK)
        if process.code != 0:
            raise Failed(self.failure(process.code, list(process.last)))

    def failure(self, code: int | None, last: list[str]) -> str:
        """The sentence for a command that ended with this code, after these lines."""
        said = "\n".join(last) or "it printed nothing"
        return f"{self.maker} ended with code {code}: {said}"

    def report(self, status: str, progress: int, message: str) -> None:
        """Tell the ledger, at once when the status moves, else twice a second; what could not be told is told later.

        Neither status nor progress ever falls.
        """
        order = self.repo.statuses.steps
        moved = order.index(status) > order.index(self.status)
        self.status = status if moved else self.status
        self.progress = max(self.progress, progress)
        if not message or (not moved and time.monotonic() - self.reported < REPORT_SECONDS):
            return
        self.reported = time.monotonic()
        try:
            self._update(status=self.status, progress=self.progress, message=message)
            display.show(self.name, self.status, self.progress, message)
        except AWAY as error:
            log.warning("%s: progress is not recorded just now: %s", self.name, error)
            release_connection()
        except LedgerError as refused:
            log.warning("%s: %s", self.name, refused)
            self.lease.why = self.lease.why or "lost"

    def finish(self, record: Callable[[], Any], is_recorded: Callable[[], bool]) -> str:
        """Record the result until the database has it; how that ended. is_recorded() when its answer did not arrive."""
        if self._insist(record):
            return self.repo.statuses.completed
        known = self._insist(is_recorded)
        if known is None:
            return UNKNOWN
        return self.repo.statuses.completed if known else "lost"

    def _update(self, **changes: Any) -> Any:
        return self.repo.update(self.record.record_id, lease_token=self.lease.token, **changes)

    def _give_up(self, why: str) -> str:
        """Cancelled, released for a shutdown, or lost."""
        if why == "cancelled":
            return self._end(self.repo.statuses.cancelled)
        if why == "shutdown":
            self._insist(lambda: self.repo.release(self.record.record_id, self.lease.token))
            return "released"
        return "lost"

    def _put_back(self, why: str) -> None:
        """Release it, and say what it waits for."""
        self._give_up("shutdown")
        self._insist(lambda: self.repo.update(self.record.record_id, message=why))

    def _end(self, status: str, **changes: Any) -> str:
        return status if self._insist(lambda: self._update(status=status, message=None, **changes)) else "lost"

    def _insist(self, act: Callable[[], Answer | None]) -> Answer | None:
        """act() until the database answers; None when it refuses, or when there is no time to ask again.

        Raises Invalid for what the database can never take.
        """
        pause = 0.1
        while True:
            try:
                return act()
            except Invalid:
                raise
            except LedgerError as refused:
                log.warning("%s: %s", self.name, refused)
                return None
            except AWAY as error:
                log.warning("%s: the database does not take its end, trying again: %s", self.name, error)
                release_connection()
            if self.lease.why == "lost" or self.lease.shutdown.wait(pause):
                return None
            pause = min(pause * 2, 5.0)
