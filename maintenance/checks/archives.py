"""Checks of the archives of the ledger: unfinished moves, and jobs in two places."""

import logging
from collections.abc import Iterator
from pathlib import Path

from errors import Busy, LedgerError
from files.storage import Storage
from maintenance.archive import notes
from maintenance.archive.database import Archive, Move, open_archive
from maintenance.archive.ledger import present
from maintenance.archive.moves import finish_unfinished
from maintenance.checks.faults import PAGE, Fault, Place

log = logging.getLogger("ledger.check")


def missing_archive(place: Place) -> Iterator[Fault]:
    """Archives that are not where jobs were moved to."""
    unfinished = notes.unfinished(place.storage)
    for path in notes.archives(place.storage):
        if not path.is_file():
            advice = f"move it back, or delete the file in STORAGE_DIR/{notes.ARCHIVES} that names it"
            if path in unfinished:
                advice = "move it back: a process was killed while it moved jobs, which may only be in this archive"
            yield Fault("missing_archive", str(path), advice)


def unfinished_move(place: Place) -> Iterator[Fault]:
    """Moves of processes that were killed."""
    for path in _archives(place.storage):
        with open_archive(path) as archive:
            move = archive.begun() and _without_mover(place.storage, archive)
        if move is not None:
            advice = (
                f"{len(move.job_ids)} jobs are on their way {move.direction}: `flask check --fix` finishes the move"
            )
            yield Fault("unfinished_move", str(path), advice)


def finish_moves(storage: Storage) -> bool:
    """Finish the unfinished moves of all archives that are there. False if one stays unfinished. Raises LedgerError."""
    for path in _archives(storage):
        with open_archive(path) as archive, notes.only_mover(storage, notes.WAIT_SECONDS):
            if archive.begun():
                notes.begin(storage, path)  # the mark is lost if the storage folder was restored
    try:
        finish_unfinished(storage)
    except LedgerError as problem:  # the moves of other archives are finished
        log.warning("a move to or from an archive is not finished: %s", problem)
    return not any(path.is_file() for path in notes.unfinished(storage))


def _archives(storage: Storage) -> list[Path]:
    """The archives that are there."""
    return [path for path in notes.archives(storage) if path.is_file()]


def _without_mover(storage: Storage, archive: Archive) -> Move | None:
    """The unfinished move of an archive; None if a process is moving jobs now."""
    try:
        with notes.only_mover(storage):
            return archive.begun()
    except Busy:
        return None


def job_in_both(place: Place) -> Iterator[Fault]:
    """Jobs that are in the ledger and in an archive, for example after an old backup was restored."""
    for path in _archives(place.storage):
        with open_archive(path) as archive:
            last = ""
            while page := archive.job_ids(last, PAGE):
                for job_id in sorted(archive.present(present("job", page))):  # it may have come back meanwhile
                    yield Fault("job_in_both", f"job {job_id} ({path})", "compare the two, and delete one of them")
                last = page[-1]
