"""Checks of the archives of the ledger: unfinished moves, and jobs in two places."""

from collections.abc import Iterator

from errors import Busy
from maintenance.archive import notes
from maintenance.archive.database import open_archive
from maintenance.archive.ledger import present
from maintenance.checks.faults import PAGE, Fault, Place


def missing_archive(place: Place) -> Iterator[Fault]:
    """Archives that are not where jobs were moved to."""
    for path in notes.archives(place.storage):
        if not path.is_file():
            advice = f"move it back, or delete the file in STORAGE_DIR/{notes.ARCHIVES} that names it"
            yield Fault("missing_archive", str(path), advice)


def unfinished_move(place: Place) -> Iterator[Fault]:
    """Moves of processes that were killed."""
    for path in (path for path in notes.archives(place.storage) if path.is_file()):
        try:
            with notes.only_mover(place.storage), open_archive(path) as archive:
                move = archive.begun()
        except Busy:  # a process is moving jobs now
            return
        if move is not None:
            advice = (
                f"{len(move.job_ids)} jobs are on their way {move.direction}: `flask check --fix` finishes the move"
            )
            yield Fault("unfinished_move", str(path), advice)


def job_in_both(place: Place) -> Iterator[Fault]:
    """Jobs that are in the ledger and in an archive, for example after an old backup was restored."""
    for path in (path for path in notes.archives(place.storage) if path.is_file()):
        with open_archive(path) as archive:
            last = ""
            while page := archive.job_ids(last, PAGE):
                for job_id in present("job", page):
                    yield Fault("job_in_both", f"job {job_id} ({path})", "compare the two, and delete one of them")
                last = page[-1]
