"""One attempt at a job or loop: renews its lease, and records its progress and its end."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from peewee import DataError, IntegrityError, NotSupportedError, ProgrammingError

from database import AWAY, release_connection
from database.damage import Damaged
from errors import Invalid, LeaseLost, LedgerError
from files.attempts import remove_attempt, remove_earlier_attempts, remove_workshop
from files.publishing import make_folder
from files.refusals import refusal
from files.storage import Storage
from models import Track
from repos import JobRepository, LoopRepository
from settings import Settings
from studio import display
from studio.process import Command, run, why_failed

log = logging.getLogger("ledger.worker")
Answer = TypeVar("Answer")
LOOK_SECONDS = 0.5
REPORT_SECONDS = 0.5
UNKNOWN = "unknown"
ERROR_CHARACTERS = 4000
# The database refuses with these errors. A second attempt would get the same error.
REFUSALS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
FULL = (ENOSPC, EDQUOT)
FULL_DISK = "the disk of the storage folder is full; make room and it goes on"


class Stopped(Exception):
    """The attempt must end; `why` is lost, cancelled or shutdown."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Failed(Exception):
    """The work cannot be done. The sentence becomes the `error` of the record."""


class Lease:
    """Renews a lease in a thread of its own, and says when the attempt must stop. Each renewal calls on_renewal()."""

    def __init__(
        self,
        repo: JobRepository | LoopRepository,
        record: Any,
        shutdown: threading.Event,
        on_renewal: Callable[[], None],
    ) -> None:
        self.repo, self.record_id, self.shutdown = repo, record.record_id, shutdown
        self.token: str = record.lease_token
        self.name = f"{repo.name} {record.record_id}"
        self.seconds: float = record.lease_seconds
        self.why: str | None = None
        self._on_renewal, self._ended = on_renewal, threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def stop(self) -> bool:
        """True if the attempt must end."""
        if self.why is None and self.shutdown.is_set():
            self.why = "shutdown"
        return self.why is not None

    def check(self) -> None:
        """Raise Stopped if the attempt must end."""
        if self.stop():
            raise Stopped(str(self.why))

    def _keep(self) -> None:
        """Check often whether the work is cancelled, and renew the lease after a third of its length.

        Repeat after errors.
        """
        renewed = time.monotonic()
        while self.why != "lost" and not self._ended.wait(min(LOOK_SECONDS, self.seconds / 4)):
            due = time.monotonic() - renewed > self.seconds / 3
            try:
                self._look(due)
                renewed = time.monotonic() if due else renewed
            except LeaseLost:
                self.why = "lost"
            except Exception as error:
                mistake = None if isinstance(error, (*AWAY, OSError)) else error
                log.warning("%s: its lease is not renewed, trying again: %s", self.name, error, exc_info=mistake)
                release_connection()  # the connection may be broken; the next statement opens a new one
        release_connection()

    def _look(self, renew: bool) -> None:
        repo = self.repo
        record = repo.heartbeat(self.record_id, self.token) if renew else repo.get_by_id(self.record_id)
        if renew:
            self._on_renewal()
        if record is None or record.lease_token != self.token:
            self.why = "lost"
        elif record.cancel_requested:
            self.why = self.why or "cancelled"


class Attempt:
    """The work of a worker on a claimed job or loop. SongAttempt and LoopAttempt are its subclasses.

    A subclass has a repository, make(), and about: a description of the work for the log.
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
        self.status, self.progress, self.reported_at = record.status, 0, 0.0
        self.recorded: tuple[int, str] = (0, "")  # the last progress and message
        self.claim: Callable[[], Any] = _nothing  # what leases the next record, together with the result of this one
        self.next_record: Any = None
        self.last_lines: Iterable[str] = ()  # that the last process printed

    def make(self) -> str:
        """Do every step from the claim to the recorded result. Returns how it ended.

        Raises Stopped, Failed, LeaseLost, OSError.
        """
        raise NotImplementedError

    def run(self) -> str:
        """Run the attempt. Returns how it ended: a final status, or released, lost or unknown.

        Unknown: the database went away while the result was written, so the files stay. If the result is not in the
        database, the lease expires, and then the files are removed. Raises OSError for a full disk, and AWAY for a
        database that does not answer; before that, it puts the work back into the queue.
        """
        outcome = "lost"
        with self.lease:
            try:
                self._clear_earlier()
                outcome = self.make()
            except Stopped as stopped:
                outcome = self._give_up(stopped.why)
            except (Failed, Invalid) as error:
                outcome = self._fail(str(error))
            except LeaseLost:
                outcome = "lost"
            except OSError as error:
                outcome = self._fail_unless_full(error)
            except Exception as error:
                outcome = self._fail_unless_away(error)
            finally:
                self._tidy(outcome)
        return outcome

    def _clear_earlier(self) -> None:
        """Remove the files of attempts that were killed. A file that a record names stays."""
        self.work.mkdir(exist_ok=True)
        remove_earlier_attempts(self.storage, self.repo.name, self.record.record_id)

    def _fail_unless_full(self, error: OSError) -> str:
        """End as failed. Raises OSError instead if nothing can be written even without the files of this attempt."""
        why = error.strerror or str(error)
        try:
            self.storage.require_writable()
        except OSError as unwritable:
            if unwritable.errno not in FULL:
                self._put_back(f"waits: {refusal(unwritable)}")
                raise
        if error.errno not in FULL:
            return self._fail(f"the worker cannot go on: {why}")
        self._tidy("lost")
        if not self.storage.is_full():
            return self._fail("it takes more room than the disk has: make room and retry")
        self._put_back(f"waits: {why}")
        raise error

    def _fail_unless_away(self, error: Exception) -> str:
        """End as failed. If the database does not answer, release the work and raise the error instead."""
        if isinstance(error, AWAY) and not isinstance(error, REFUSALS):
            release_connection()
            self._give_up("shutdown")
            raise error
        log.error("%s: an error of this program ends the attempt", self.name, exc_info=error)
        return self._fail(f"the worker met an error that it does not expect: {type(error).__name__}: {error}")

    def _fail(self, why: str) -> str:
        """End as failed, with an error text that every database accepts: no NUL, no lone surrogate, not too long."""
        text = why.replace("\0", " ").encode("utf-8", "replace").decode()
        return self._end(self.repo.statuses.failed, error=text[:ERROR_CHARACTERS])

    def _touch(self) -> None:
        """Update the time of the work folder, so that housekeeping does not remove it."""
        with suppress(FileNotFoundError):
            os.utime(self.work)

    def _tidy(self, outcome: str) -> None:
        """Remove the unfinished files. Without a result, also those that no record names, if the database answers."""
        remove_workshop(self.storage, self.lease.token)
        if outcome not in (self.repo.statuses.completed, UNKNOWN):
            with suppress(*AWAY):
                remove_attempt(self.storage, self.repo.name, self.record.record_id, self.lease.token)

    def process(self, command: Command, output: Path, follow: Callable[[str], None]) -> None:
        """Run a command to its end. Appends its output to a file, and calls follow() with each line.

        Raises Stopped, OSError, and Failed with the last lines it printed, also when it takes longer than its seconds.
        """
        make_folder(output.parent)
        try:
            process = run(command, output, self.lease.stop, follow)
        except TimeoutError:
            raise self.too_late(command.seconds) from None
        self.last_lines = process.last
        self.lease.check()
        if process.code != 0:
            self.require_storage()
        if reason := why_failed(self.maker, command, process):
            raise Failed(reason)

    def require_storage(self) -> None:
        """Raise OSError if nothing can be written: then a generator that has failed is not to blame."""
        if self.storage.is_full():
            raise OSError(ENOSPC, FULL_DISK)
        self.storage.require_writable()

    def too_late(self, seconds: float) -> Failed:
        """The error for a generator that has taken longer than these seconds."""
        return Failed(f"{self.maker} took longer than {seconds:g} seconds and was stopped{self.limit}")

    def sound_of(self, track: Track | None) -> Path | None:
        """The file with the sound of a track: WAV before MP3; None if there is none in the storage folder."""
        names = (track.file_path_wav, track.file_path_mp3) if track else ()
        return next((file for name in names if (file := self.storage.find(name))), None)

    def report(self, status: str, progress: int, message: str) -> None:
        """Record progress: at once if the status changes, else if it is new, and at most twice a second.

        Status and progress only go forward. If the database does not answer, the next report records the progress.
        """
        order = self.repo.statuses.steps
        moved = order.index(status) > order.index(self.status)
        self.status = status if moved else self.status
        self.progress = max(self.progress, progress)
        now, latest = time.monotonic(), (self.progress, message)
        is_seen = message and latest != self.recorded and now - self.reported_at >= REPORT_SECONDS
        if not (moved or is_seen):
            return
        self.reported_at = now
        try:
            self._update(status=self.status, progress=self.progress, message=message or None)
            self.recorded = latest
            display.show(self.name, self.status, self.progress, message)
        except AWAY as error:
            log.warning("%s: progress is not recorded just now: %s", self.name, error)
            release_connection()
        except LedgerError as refused:
            log.warning("%s: %s", self.name, refused)
            self.lease.why = self.lease.why or "lost"

    def finish(self, record: Callable[[], Any], is_recorded: Callable[[], bool]) -> str:
        """Record the result; repeat until the database answers. Returns how the attempt ended.

        is_recorded() checks whether the result is in the database, if record() may have worked without an answer.
        """
        ended, self.next_record = self._insist(lambda: self._end_and_claim(record)) or (None, None)
        if ended:
            return self.repo.statuses.completed
        recorded = self._insist(is_recorded)
        if recorded is None:
            return UNKNOWN
        return self.repo.statuses.completed if recorded else "lost"

    def _end_and_claim(self, record: Callable[[], Any]) -> tuple[Any, Any]:
        """Record the result, and claim the next record in the same transaction if the worker may go on.

        If that fails, record the result alone: the reason may be the next record, or what it needs.
        """
        try:
            return self.repo.end_and_claim(record, self.claim if self._may_go_on() else _nothing)
        except (Invalid, Damaged, OSError, *REFUSALS):
            return self.repo.end_and_claim(record, _nothing)

    def _may_go_on(self) -> bool:
        with suppress(OSError):
            return not self.lease.shutdown.is_set() and not self.storage.is_full()
        return False

    def _update(self, **changes: Any) -> Any:
        return self.repo.update(self.record.record_id, lease_token=self.lease.token, **changes)

    def _give_up(self, why: str) -> str:
        """End the attempt without a result: as cancelled, as released for a shutdown, or as lost."""
        if why == "cancelled":
            return self._end(self.repo.statuses.cancelled)
        if why == "shutdown":
            self._insist(lambda: self.repo.release(self.record.record_id, self.lease.token))
            return "released"
        return UNKNOWN if why == UNKNOWN else "lost"

    def _put_back(self, why: str) -> None:
        """Release the work, and record as its message what it waits for."""
        self._give_up("shutdown")
        self._insist(lambda: self.repo.update(self.record.record_id, message=why))

    def _end(self, status: str, **changes: Any) -> str:
        return status if self._insist(lambda: self._update(status=status, message=None, **changes)) else "lost"

    def _insist(self, act: Callable[[], Answer | None]) -> Answer | None:
        """Call act() until the database answers. None if it refuses, or if the attempt must end before it answers.

        Raises Invalid and REFUSALS for values that the database can never accept.
        """
        pause = 0.1
        while True:
            try:
                return act()
            except (Invalid, *REFUSALS):
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


def _nothing() -> None:
    """Claim nothing."""
