"""Actions on several records at once, with one answer: what was done, and what was refused and why."""

from collections.abc import Iterable, Sequence
from typing import Any

from errors import LedgerError, NotFound, WrongStatus
from files import deletion, discards
from models import JOB_STATUSES, Discard, iso
from repos import JobRepository, TrackRepository
from web.answers import MISSING
from web.current import services
from web.problems import REFUSALS

jobs, tracks = JobRepository(), TrackRepository()
Refusals = dict[str, LedgerError]  # by id
# The statuses in which an action comes too late for a job, and what its refusal says.
TOO_LATE = {"cancel": (JOB_STATUSES.completed, JOB_STATUSES.failed), "retry": (JOB_STATUSES.completed,)}
ADVICE = {"cancel": "there is nothing to cancel", "retry": "create a new job instead"}


def act_on_jobs(action: str, ids: Sequence[str], files: bool = False) -> dict[str, Any]:
    """Cancel, retry or delete jobs. Returns a schemas.Done as a dict. files: also delete their files.

    A job that is being cancelled, or that is in the queue, counts as done. Deleted jobs do not come back.
    """
    chosen = list(dict.fromkeys(ids))
    if action == "delete":
        deleted, refused = _delete(chosen, files)
        return _answer(chosen, _missing(chosen, deleted) | refused)
    present = jobs.cancel_all(chosen) if action == "cancel" else jobs.retry_all(chosen)
    wrong: Refusals = {
        job_id: WrongStatus(f"job {job_id} is {job.status}: {ADVICE[action]}")
        for job_id, job in present.items()
        if job.status in TOO_LATE[action]
    }
    return _answer(chosen, _missing(chosen, present) | wrong)


def act_on_tracks(action: str, ids: Sequence[str]) -> dict[str, Any]:
    """Star, unstar or delete tracks of any jobs. Returns a schemas.Done as a dict. Deleted tracks can come back."""
    chosen, discard = list(dict.fromkeys(ids)), None
    if action == "delete":
        discard, present = discards.discard_tracks(services().storage, chosen)
    else:
        present = tracks.star_all(chosen, action == "star")
    return _answer(chosen, _missing(chosen, present), discard)


def shown(discard: Discard) -> dict[str, Any]:
    """A discard as responses have it: a schemas.Discard as a dict."""
    address = f"/api/discards/{discard.discard_id}"
    fields = ("discard_id", "job_id", "state", "tracks", "loops", "bytes")
    return {
        **{name: discard.__data__[name] for name in fields},
        "created_at": iso(discard.created_at),
        "expires_at": iso(discard.expires_at),
        "urls": {"self": address, "undo": f"{address}/undo"},
    }


def _answer(chosen: Sequence[str], refused: Refusals, discard: Discard | None = None) -> dict[str, Any]:
    return {
        "done": [record_id for record_id in chosen if record_id not in refused],
        "refused": [
            {"id": record_id, "code": REFUSALS[type(refused[record_id])][1], "detail": str(refused[record_id])}
            for record_id in chosen
            if record_id in refused
        ],
        "discard": None if discard is None else shown(discard),
    }


def _missing(chosen: Iterable[str], present: Iterable[str]) -> Refusals:
    return {record_id: NotFound(MISSING) for record_id in set(chosen).difference(present)}


def _delete(ids: Sequence[str], files: bool) -> tuple[list[str], Refusals]:
    """Delete jobs. Returns (the ids of those that were deleted, the refusals)."""
    storage = services().storage
    return deletion.delete_jobs_with_files(storage, ids) if files else (deletion.delete_jobs(storage, ids), {})
