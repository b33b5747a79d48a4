"""Moves jobs between the ledger and an archive, in batches.

A job leaves in three steps. First its rows are stored in the archive where no reader sees them. Then the ledger
deletes the job. Then the archive shows it. It comes back in the reverse order. So no reader ever sees a job in both.
Between the last two commits, about a millisecond, a reader sees it in neither. If the process is killed there,
finish_unfinished() does the last step. Housekeeping calls it within seconds, and every later move begins with it.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import peewee

from database import bound_settings, database, prepare_database
from errors import Busy, Conflict, Invalid, LedgerError, NotFound, StorageFull
from files.storage import Storage
from maintenance.archive import ledger, notes
from maintenance.archive.database import LEAVE, Archive, Move, open_archive
from maintenance.archive.files import ArchiveFiles
from maintenance.archive.ledger import Rule
from maintenance.archive.making import index_archive, make_archive
from maintenance.archive.rows import Rows, size
from maintenance.reports import Report, silent

log = logging.getLogger("ledger.archive")
BATCH = 25  # jobs whose rows one transaction of the ledger deletes or creates; other writers wait for it
Step = Callable[[list[str], dict[str, str]], int]
LEAST_FREE_BYTES = 4_000_000  # for the pages that a batch touches
ROOM = 3  # times the bytes of a batch: the rows, the indexes, and SQLite's log
UNWRITABLE = (peewee.IntegrityError, peewee.DataError, UnicodeDecodeError, Conflict)


@dataclass
class Result:
    """What a command has moved: the number of jobs, and the reason of each job that stays, by job_id.

    missing: the files that jobs name which came back, and that are neither in the archive nor in the storage folder.
    """

    archive: str
    moved: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON."""
        return asdict(self)


class NoLongerSame(Exception):
    """Some jobs have changed since they were read; job_ids has the others."""

    def __init__(self, job_ids: list[str]) -> None:
        super().__init__("some jobs have changed")
        self.job_ids = job_ids


def archive(path: Path, rule: Rule, files: bool = False, report: Report = silent) -> Result:
    """Move the jobs that a rule matches into an archive, which is created if it does not exist.

    files: also move their files into a folder beside the archive. A job of which the archive has an id already stays.
    Call it in a process in which no other thread uses the database. Raises Busy, Invalid, DatabaseUnusable, OSError.
    """
    with _mover(path, files, make=True) as mover:
        leave = partial(mover.leave, rule)
        return _move(mover, leave, ledger.leaving(rule), ledger.count_leaving(rule), report)


def unarchive(path: Path, job_ids: Sequence[str] = (), report: Report = silent) -> Result:
    """Move jobs of an archive back into the ledger, with their files; () means all jobs.

    A job stays if the archive does not have it, or if the ledger has one of its ids. For threads and errors, the same
    as in archive().
    """
    with _mover(path, True, make=False) as mover:
        present = mover.archive.present(job_ids)
        chosen = [job_id for job_id in dict.fromkeys(job_ids) if job_id in present]
        total = len(chosen) if job_ids else mover.archive.count()
        result = _move(mover, mover.come_back, chosen if job_ids else _all_ids(mover.archive), total, report)
    result.missing = mover.missing
    result.refused |= {job_id: "the archive does not have it" for job_id in job_ids if job_id not in present}
    return result


def finish_unfinished(storage: Storage) -> list[Path]:
    """Finish the moves of processes that were killed. Returns their archives. Any thread of any process may call this.

    Does nothing if a process is moving jobs now. Raises the LedgerError of an archive that cannot be used; the moves
    of the others are finished then.
    """
    finished: list[Path] = []
    problems: list[LedgerError] = []
    paths = [path for path in notes.unfinished(storage) if path != own_path()]
    if paths:
        with suppress(Busy), notes.only_mover(storage):
            for path in paths:
                try:
                    _finish_archive(storage, path)
                    finished.append(path)
                except LedgerError as problem:
                    problems.append(problem)
    if problems:
        raise problems[0]
    return finished


def _finish_archive(storage: Storage, path: Path) -> None:
    """Finish the move of this archive. Only inside of only_mover(). Raises LedgerError."""
    if not path.is_file():
        raise NotFound(f"Jobs may be on their way in the archive {path}, which is not there: bring it back.")
    with open_archive(path, is_mover=True) as opened:
        _finish(storage, opened)
    notes.end(storage, path)


@contextmanager
def _mover(path: Path, files: bool, make: bool) -> Iterator["Mover"]:
    """A block in which this process moves jobs to or from this archive; with files or without. make: create it."""
    settings, path = bound_settings(), path.absolute()
    storage = Storage(settings)
    prepare_database()
    with notes.only_mover(storage, notes.WAIT_SECONDS):
        _require_place(storage, path)
        _finish_others(storage, path)
        if make or path.is_file():
            make_archive(path)
            prepare_database()
            notes.begin(storage, path)
        with open_archive(path, is_mover=True) as opened:
            _finish(storage, opened)
            mover = Mover(storage, opened, files)
            mover.files.clear_parts()
            yield mover
            mover.files.clear_parts()
            opened.drop_tables()
            is_empty = opened.count() == 0
        notes.end(storage, path)
        if is_empty:
            notes.forget(storage, path)
        index_archive(path)


def _finish_others(storage: Storage, path: Path) -> None:
    """Finish the moves of other archives. One that cannot be used keeps its mark, and the log names it."""
    for other in (other for other in notes.unfinished(storage) if other not in (path, own_path())):
        try:
            if other.is_file():
                make_archive(other)
                prepare_database()
            _finish_archive(storage, other)
        except LedgerError as problem:
            log.warning("an earlier move is not finished: %s", problem)


def _finish(storage: Storage, opened: Archive) -> None:
    """Finish the move that a killed process has begun, if there is one, and remove its files. Raises StorageFull."""
    if move := opened.begun():
        try:
            place = "in the archive" if _decide(storage, opened, move) else "in the ledger"
        except StorageFull as problem:
            raise StorageFull(f"{problem} {len(move.job_ids)} jobs wait in it.") from None
        log.warning("%d jobs that a killed process was moving are %s now", len(move.job_ids), place)
    ArchiveFiles(storage, opened).remove_moved()


def _decide(storage: Storage, opened: Archive, move: Move) -> bool:
    """Decide by the ledger where the jobs on their way belong, and leave them only there. True: in the archive."""
    is_leaving, staged = move.direction == LEAVE, opened.staged()
    if is_leaving:
        is_in_archive = ledger.has_left(move.job_ids, move.newest_event)
    else:
        is_in_archive = not ledger.has_come_back(move.job_ids, move.newest_event)
    with opened.transaction():
        if not is_leaving:
            opened.hide()
        if is_in_archive:
            opened.show()
            opened.clear(keeps_files=True)
    if not is_in_archive:
        ArchiveFiles(storage, opened).tidy(staged)
        with opened.transaction():
            opened.clear()
    return is_in_archive


def _move(mover: "Mover", move: Step, job_ids: Iterable[str], total: int, report: Report) -> Result:
    """Move jobs in batches."""
    result, done = Result(str(mover.archive.path)), 0
    report("jobs", done, total)
    for batch in _batches(job_ids):
        result.moved += move(batch, result.refused)
        done += len(batch)
        report("jobs", done, max(done, total))
    return result


def _all_ids(opened: Archive) -> Iterator[str]:
    last = ""
    while batch := opened.job_ids(last, BATCH):
        yield from batch
        last = batch[-1]


def _batches(job_ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(job_ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch


class Mover:
    """Moves one batch after another."""

    def __init__(self, storage: Storage, opened: Archive, with_files: bool) -> None:
        self.storage, self.archive, self.with_files = storage, opened, with_files
        self.files, self.missing = ArchiveFiles(storage, opened), list[str]()

    def leave(self, rule: Rule, job_ids: list[str], refused: dict[str, str]) -> int:
        """Move jobs into the archive. Returns their number. Adds those that the archive has to `refused`.

        Jobs that change meanwhile stay, and so do those that the rule does not match any more.
        """
        return self._attempt(partial(self._leave, rule), job_ids, refused)

    def come_back(self, job_ids: list[str], refused: dict[str, str]) -> int:
        """Move jobs into the ledger. Returns their number. Adds those that the ledger has to `refused`."""
        return self._attempt(self._come_back, job_ids, refused)

    def _attempt(self, step: Callable[[list[str]], dict[str, str]], job_ids: list[str], refused: dict[str, str]) -> int:
        """Move a batch. If the ledger or the disk refuses a part of it, move one job after another."""
        while job_ids:
            try:
                taken = step(job_ids)
            except NoLongerSame as change:
                job_ids = change.job_ids
            except UNWRITABLE as error:
                if len(job_ids) > 1:
                    return sum(self._attempt(step, [job_id], refused) for job_id in job_ids)
                refused[job_ids[0]] = str(error)
                return 0
            else:
                if not taken:
                    return len(job_ids)
                refused |= taken
                job_ids = [job_id for job_id in job_ids if job_id not in taken]
        return 0

    def _leave(self, rule: Rule, job_ids: list[str]) -> dict[str, str]:
        """Move these jobs into the archive, or none of them. Returns the jobs that the archive has."""
        newest_event, versions = ledger.mark(), ledger.versions(ledger.still_leaving(rule, job_ids))
        if len(versions) < len(job_ids):
            raise NoLongerSame(list(versions))
        rows = ledger.read(job_ids, newest_event)
        taken = self.archive.stage(newest_event, rows)
        if taken:
            return taken
        with self._finished_after_refusal():
            self.files.copy_out(self.files.of_ledger(job_ids) if self.with_files else set())
            self._require_room(rows)
            with self.archive.transaction(is_durable=False):
                self.archive.show()
                self.archive.clear(keeps_files=True)
                self.archive.require_in_place()
                unchanged = ledger.take_out(rule, versions, newest_event)
                if len(unchanged) < len(job_ids):
                    raise NoLongerSame(unchanged)
        self.files.remove_moved()
        return {}

    def _require_room(self, rows: Rows) -> None:
        """Raise StorageFull if the archive may be unable to show these rows after the ledger has deleted them."""
        needed = ROOM * size(rows) + LEAST_FREE_BYTES
        if shutil.disk_usage(self.archive.path.parent).free < needed:
            raise StorageFull(
                f"The disk of the archive {self.archive.path} is nearly full: make room on it, at least "
                f"{needed // 1_000_000 + 1} MB."
            )

    def _come_back(self, job_ids: list[str]) -> dict[str, str]:
        """Move these jobs into the ledger, or none of them. Returns the jobs that the ledger has."""
        newest_event, rows = ledger.mark(), self.archive.read(job_ids)
        taken = ledger.taken(rows)
        if taken:
            return taken
        self.archive.stage_return(newest_event, job_ids)
        missing = self.files.missing(rows)
        with self._finished_after_refusal():
            self.files.copy_back(rows)
            with database.atomic():
                ledger.put_in(rows, newest_event)
                with self.archive.transaction(is_durable=False):
                    self.archive.hide()
        self.files.tidy(rows)
        with self.archive.transaction():
            self.archive.clear()
        self.missing += missing
        return {}

    @contextmanager
    def _finished_after_refusal(self) -> Iterator[None]:
        """If the block is refused, end the move: the ledger says whether it has happened."""
        try:
            yield
        except (NoLongerSame, StorageFull, *UNWRITABLE):
            if move := self.archive.begun():
                _decide(self.storage, self.archive, move)
            raise


def own_path() -> Path | None:
    """The path of the ledger; None for a PostgreSQL server."""
    settings = bound_settings()
    return None if settings.is_postgresql else settings.sqlite_path.absolute()


def require_ledger(storage: Storage) -> None:
    """Raise Invalid if the bound database is an archive, and the storage folder is that of its ledger."""
    if own_path() in notes.archives(storage):
        raise Invalid(f"{own_path()} is an archive of the ledger of this storage folder: set DB_PATH to the ledger.")


def _require_place(storage: Storage, path: Path) -> None:
    """Raise Invalid for an archive that is the ledger, or that clients could download."""
    if path in notes.archives(storage) and not path.is_file():
        raise Invalid(
            f"The archive {path}, to which jobs were moved, is not there: bring it back (is its disk mounted?), or "
            f"delete the file in {storage.root / notes.ARCHIVES} that names it."
        )
    if path.resolve().is_relative_to(storage.root):
        raise Invalid(f"{path} is in the storage folder, which clients can read: choose another place for the archive.")
    own = own_path()
    require_ledger(storage)
    if own is not None and (path == own or (path.exists() and own.exists() and path.samefile(own))):
        raise Invalid(f"{path} is the database of this ledger: choose another file for the archive.")
