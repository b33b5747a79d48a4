"""Discards: tracks and loops that were deleted together. They can come back until housekeeping removes their files.

The deleted rows are copied into tables with the same columns. So undo restores every value as it was stored. A job
notes which of its takes were discarded, so that no later attempt makes them again.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import peewee

from database import database, is_postgresql
from database.hints import wait_for_lock
from errors import Conflict, WrongStatus
from models import JOB_STATUSES, LOOP_STATUSES, Discard, Job, Loop, Track, microseconds, new_id, utc_now
from records.commits import newest
from records.leases import RELEASE
from records.writes import marks, placed, touched

SECONDS = 10.0  # at least so long, a discard can be undone
WAITING, UNDONE, EXPIRED = "waiting", "undone", "expired"
ALL_TAKES = 2**32 - 1
COPIED: tuple[Any, ...] = (Track, Loop)  # parents first
ACTIVE_LOOPS = ", ".join(f"'{status}'" for status in LOOP_STATUSES.all if LOOP_STATUSES.is_active(status))


def discard_job(job_id: str, size: int = 0) -> Discard | None:
    """Delete all tracks of a job that have no star, with their loops, in one transaction. None if there is no such job.

    size: the bytes of their files, as Discard.bytes shows them. Raises WrongStatus if no track has a star, or if all
    have one.
    """
    with database.atomic():
        if not _lock_jobs([job_id]):
            return None
        tracks = wait_for_lock(Track.select(Track.starred).where(Track.job == job_id).order_by(Track.track_id))
        _require_choice(job_id, [starred for (starred,) in tracks.tuples()])
        return _discard("job_id = ? AND NOT starred", [job_id], job_id, size)


def discard_tracks(track_ids: Sequence[str], size: int = 0) -> tuple[Discard | None, list[str]]:
    """Delete tracks of any jobs, with their loops, in one transaction. size: as in discard_job().

    Returns (the discard, the ids of its tracks). (None, []) if there are none of these tracks.
    """
    chosen: Any = Track.select(Track.track_id, Track.job).where(Track.track_id.in_(list(track_ids)))
    with database.atomic():
        _lock_jobs({job_id for _, job_id in chosen.tuples()})
        present = dict(wait_for_lock(chosen.order_by(Track.track_id)).tuples())
        if not present:
            return None, []
        job_ids = set(present.values())
        job_id = job_ids.pop() if len(job_ids) == 1 else None
        ids = list(present)
        return _discard(f"track_id IN ({marks(ids)})", ids, job_id, size), ids


def undo(discard_id: str) -> Discard | None:
    """Bring the tracks and loops of a discard back. Returns it, also if that was done before. None if it has ended.

    A loop that a worker was making is pending again. Raises Conflict if a job was deleted meanwhile, also if another
    job has its id now, or if one of the ids is taken; then nothing comes back.
    """
    try:
        return _undo(discard_id)
    except peewee.IntegrityError:  # another transaction has created one of the ids at this moment: now it is named
        return _undo(discard_id)


def get(discard_id: str) -> Discard | None:
    """A discard that can be undone, or that was undone. None if it has ended."""
    discard: Discard | None = Discard.select().where(_is_shown(discard_id)).first()
    return discard


def of_job(job_id: str) -> list[Discard]:
    """The discards of a job that can still be undone, newest first. Discards of several jobs are not among them."""
    waiting = Discard.select().where(Discard.job_id == job_id, Discard.state == WAITING)
    return list(waiting.order_by(Discard.created_at.desc(), Discard.discard_id.desc()))


def states() -> dict[str, str]:
    """The state of every discard, also of those that have expired, by discard_id."""
    every: Any = Discard.select(Discard.discard_id, Discard.state).tuples()
    return dict(every)


def expire(discard_id: str) -> bool:
    """End a waiting discard. True if this call has ended it: then its files must be removed, and forget() called."""
    with database.atomic():
        waiting = Discard.update(state=EXPIRED).where(Discard.discard_id == discard_id, Discard.state == WAITING)
        return bool(waiting.execute())


def forget(discard_id: str) -> None:
    """Delete a discard that has expired or was undone."""
    with database.atomic():
        if Discard.delete().where(Discard.discard_id == discard_id, Discard.state != WAITING).execute():
            _remove_copies(discard_id)


def tracks_of(discard_id: str) -> list[Any]:
    """(track_id, job_id, file_path_wav, file_path_mp3) of the tracks of a discard that can come back or has expired."""
    columns = "track_id, job_id, file_path_wav, file_path_mp3"
    return _rows(f"SELECT {columns} FROM discarded_track WHERE discard_id = ?", [discard_id])


def loops_of(discard_id: str) -> list[Any]:
    """(loop_id, result_path) of the loops of a discard that can come back or has expired."""
    return _rows("SELECT loop_id, result_path FROM discarded_loop WHERE discard_id = ?", [discard_id])


def _discard(where: str, values: Sequence[Any], job_id: str | None, size: int) -> Discard:
    """Move the tracks that meet a condition into a new discard, with their loops."""
    now, discard_id = utc_now(), new_id()
    ends = now + timedelta(seconds=SECONDS)
    Discard.insert(discard_id=discard_id, job_id=job_id, bytes=size, created_at=now, expires_at=ends).execute()
    copied = "track_id IN (SELECT track_id FROM discarded_track WHERE discard_id = ?)"
    numbers = {
        Discard.tracks: _copy(Track, discard_id, where, values),
        Discard.loops: _copy(Loop, discard_id, copied, [discard_id]),
    }
    _run(
        """UPDATE discarded_track SET job_created_at =
        (SELECT created_at FROM job WHERE job.job_id = discarded_track.job_id) WHERE discard_id = ?""",
        [discard_id],
    )
    _run(f"DELETE FROM track WHERE {copied}", [discard_id])
    _note_takes(discard_id, are_discarded=True)
    Discard.update(numbers).where(Discard.discard_id == discard_id).execute()
    discard: Discard = Discard.get_by_id(discard_id)
    return discard


def _copy(model: Any, discard_id: str, where: str, values: Sequence[Any]) -> int:
    """Copy rows into a discard. Returns their number. On PostgreSQL, nobody changes the rows any more."""
    table, names = model._meta.table_name, _columns(model)
    lock = f"ORDER BY {table}_id FOR UPDATE" if is_postgresql() else ""
    chosen = f"SELECT ?, {names} FROM {table} WHERE {where} {lock}"
    copied = _run(f"INSERT INTO discarded_{table} (discard_id, {names}) {chosen}", [discard_id, *values])
    return int(copied.rowcount)


def _undo(discard_id: str) -> Discard | None:
    """The same as undo(). Raises IntegrityError if the rows break a rule of the database."""
    with database.atomic():
        discard = _lock(discard_id)
        if discard is None or discard.state == UNDONE:
            return discard
        _require_room(discard_id)
        _release_loops(discard_id)
        newest_event = max(newest())
        for model in COPIED:
            _put_back(model, discard_id)
        # Webhooks were sent when the loops ended.
        _run(
            """DELETE FROM delivery WHERE event_id > ? AND entity = 'loop' AND change = 'created'
            AND entity_id IN (SELECT loop_id FROM discarded_loop WHERE discard_id = ?)""",
            [newest_event, discard_id],
        )
        _note_takes(discard_id, are_discarded=False)
        _remove_copies(discard_id)
        Discard.update(state=UNDONE).where(Discard.discard_id == discard_id).execute()
        discard.state = UNDONE
        return discard


def _put_back(model: Any, discard_id: str) -> None:
    """Create the rows of a discard again, each with a newer version than it had."""
    table, columns = model._meta.table_name, _columns(model)
    newer, values = touched(utc_now())
    _run(f"UPDATE discarded_{table} SET {newer} WHERE discard_id = ?", [*values, discard_id])
    _run(
        f"""INSERT INTO {table} ({columns}) SELECT {columns} FROM discarded_{table}
        WHERE discard_id = ? ORDER BY created_at, {table}_id""",
        [discard_id],
    )


def _release_loops(discard_id: str) -> None:
    """Take the leases of the loops of a discard away, as release() does: their workers have lost them."""
    now = microseconds(utc_now())
    is_leased = f"(lease_token IS NOT NULL OR status IN ({ACTIVE_LOOPS}))"
    values = [LOOP_STATUSES.cancelled, LOOP_STATUSES.pending, now, now, discard_id]
    _run(f"UPDATE discarded_loop SET {RELEASE} WHERE discard_id = ? AND {is_leased}", values)


def _note_takes(discard_id: str, are_discarded: bool) -> None:
    """Note in the jobs of a discard that its takes are discarded, or are not any more. Completed jobs make no takes."""
    takes: dict[str, int] = {}
    numbers = "SELECT DISTINCT job_id, take FROM discarded_track WHERE discard_id = ? AND take IS NOT NULL"
    for job_id, take in _rows(numbers, [discard_id]):
        takes[job_id] = takes.get(job_id, 0) | 1 << take - 1 & ALL_TAKES
    for job_id, bits in sorted(takes.items()):
        changed = Job.discarded_takes.bin_or(bits) if are_discarded else Job.discarded_takes.bin_and(ALL_TAKES ^ bits)
        is_unfinished = (Job.job_id == job_id, Job.status != JOB_STATUSES.completed)
        Job.update(discarded_takes=changed).where(*is_unfinished, Job.discarded_takes != changed).execute()


def _remove_copies(discard_id: str) -> None:
    for model in reversed(COPIED):
        _run(f"DELETE FROM discarded_{model._meta.table_name} WHERE discard_id = ?", [discard_id])


def _lock(discard_id: str) -> Discard | None:
    """The discard, which no other transaction changes until the end of this one; None if it has ended."""
    discard: Discard | None = wait_for_lock(Discard.select().where(_is_shown(discard_id))).first()
    return discard


def _lock_jobs(job_ids: Any) -> list[str]:
    """Those of these jobs that exist. Until the end of the transaction, nobody deletes or changes them."""
    jobs = Job.select(Job.job_id).where(Job.job_id.in_(list(job_ids))).order_by(Job.job_id)
    return [job_id for (job_id,) in wait_for_lock(jobs).tuples()]


def _is_shown(discard_id: str) -> Any:
    return (Discard.discard_id == discard_id) & (Discard.state != EXPIRED)


def _require_choice(job_id: str, stars: Sequence[bool]) -> None:
    """Raise WrongStatus if no track of a job has a star, or if all have one."""
    if not stars:
        raise WrongStatus(f"job {job_id} has no tracks, so there is nothing to delete")
    if not any(stars):
        raise WrongStatus(f"no track of job {job_id} has a star: give one to each track that you want to keep")
    if all(stars):
        raise WrongStatus(f"every track of job {job_id} has a star, so there is nothing to delete")


def _require_room(discard_id: str) -> None:
    """Raise Conflict if the records of a discard cannot come back. Locks their jobs."""
    read = _rows("SELECT DISTINCT job_id FROM discarded_track WHERE discard_id = ?", [discard_id])
    job_ids = {job_id for (job_id,) in read}
    gone = job_ids.difference(_lock_jobs(job_ids))
    if gone:
        raise Conflict(f"job {min(gone)} was deleted meanwhile, so its tracks cannot come back")
    others = """SELECT min(job.job_id) FROM discarded_track JOIN job ON job.job_id = discarded_track.job_id
        WHERE discard_id = ? AND job.created_at <> job_created_at"""
    if (other := _rows(others, [discard_id])[0][0]) is not None:
        raise Conflict(f"job {other} was deleted meanwhile, and another job has its id, so its tracks cannot come back")
    for table in (model._meta.table_name for model in COPIED):
        copies = f"SELECT {table}_id FROM discarded_{table} WHERE discard_id = ?"
        taken = _rows(f"SELECT min({table}_id) FROM {table} WHERE {table}_id IN ({copies})", [discard_id])[0][0]
        if taken is not None:
            raise Conflict(f"{table} {taken} exists again, so the deleted one cannot come back")


@cache
def _columns(model: Any) -> str:
    return ", ".join(f'"{field.column_name}"' for field in model._meta.sorted_fields)


def _rows(sql: str, values: Sequence[Any]) -> list[Any]:
    return list(_run(sql, values).fetchall())


def _run(sql: str, values: Sequence[Any]) -> Any:
    return database.execute_sql(placed(sql), list(values))
