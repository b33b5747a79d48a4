"""Checks the ledger, and repairs what can be repaired without deleting anything."""

import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice

import cysqlite

from database import AWAY, bound_settings, prepare_database
from errors import LedgerError
from files.storage import Storage
from maintenance.archive.moves import require_ledger
from maintenance.checks import archives, database, files, work
from maintenance.checks.faults import Fault, Find, Place
from maintenance.reports import Report, silent

log = logging.getLogger("ledger.check")
CHECKS: tuple[Find, ...] = (
    database.damaged_database,
    database.wrong_schema,
    database.wrong_object,
    database.missing_parent,
    database.wrong_tally,
    database.incomplete_search,
    work.stuck_lease,
    work.old_backup,
    files.missing_file,
    files.unnamed_file,
    files.old_part,
    files.disk_nearly_full,
    archives.missing_archive,
    archives.unfinished_move,
    archives.job_in_both,
)
MOST = 1000  # faults of one kind that are listed
RECHECK_SECONDS = 2.0  # what a running service is doing at the first look is done at the second


def check(report: Report = silent) -> list[Fault]:
    """The faults of the bound database and of its storage folder; at most 1000 of a kind.

    A fault counts only if a second look, a moment later, finds it again: the service may be at work meanwhile. Raises
    Invalid if the bound database is an archive, as it does not know which files its ledger needs.
    """
    settings = bound_settings()
    place = Place(settings, Storage(settings))
    require_ledger(place.storage)
    try:
        prepare_database()
    except LedgerError as error:
        return [Fault("unusable_database", "the database", str(error))]
    first = {find: _found(find, place) for find in _reported(CHECKS, "checks", report)}
    doubtful = tuple(find for find, faults in first.items() if faults)
    if doubtful:
        time.sleep(RECHECK_SECONDS)
    second = [fault for find in _reported(doubtful, "second look", report) for fault in _found(find, place)]
    before = {fault for faults in first.values() for fault in faults}
    return [fault for fault in second if fault in before]


def fix(faults: list[Fault]) -> list[Fault]:
    """Repair what can be repaired: count and index again, requeue, finish moves, and move files into quarantine.

    Returns the faults that are repaired. Nothing is deleted.
    """
    storage, names = Storage(bound_settings()), {fault.name for fault in faults}
    repairs: dict[str, Callable[[], bool | None]] = {
        "wrong_tally": database.rebuild_tally,
        "incomplete_search": database.complete_search,
        "stuck_lease": work.requeue,
        "unfinished_move": lambda: archives.finish_moves(storage),
    }
    worked = {name for name, repair in repairs.items() if name in names and _has_worked(repair)}
    return [fault for fault in faults if fault.name in worked or files.quarantine(storage, fault)]


def _has_worked(repair: Callable[[], bool | None]) -> bool:
    """Run a repair. False if it failed: its fault stays, with its advice."""
    try:
        return repair() is not False
    except (LedgerError, *AWAY, cysqlite.DatabaseError, OSError) as error:
        log.warning("a repair has failed: %s", " ".join(str(error).split()))
        return False


def _found(find: Find, place: Place) -> list[Fault]:
    """What a check finds. A check that cannot read what it needs finds that.

    A damaged file may say that a row has gigabytes: then SQLite has not enough memory.
    """
    try:
        faults = list(islice(find(place), MOST + 1))
    except (LedgerError, *AWAY, cysqlite.DatabaseError, OSError, MemoryError) as error:
        return [Fault("unreadable", find.__name__, f"this check cannot be made: {' '.join(str(error).split())}")]
    if len(faults) > MOST:
        faults[MOST] = Fault(
            "more_faults", find.__name__, f"there are more than {MOST}: repair these, then check again"
        )
    return faults


def _reported(finds: tuple[Find, ...], what: str, report: Report) -> Iterator[Find]:
    """The same checks. Reports how many are done."""
    for number, find in enumerate(finds):
        report(what, number, len(finds))
        yield find
    if finds:
        report(what, len(finds), len(finds))
