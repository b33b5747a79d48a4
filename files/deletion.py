"""Deletes records, and then the files that no other record names, if the caller wants that."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from peewee import Expression

from database import AWAY, database, release_connection
from database.hints import lock_for_deletion
from errors import LedgerError
from files.pending import pending_uploads
from files.removals import Key, announce_removal, forget_removal
from files.storage import Storage, is_file
from models import Job, Loop, Track
from records import filters
from records.paths import names_in_use, tracks_in_use
from repos import JobRepository, LoopRepository, TrackRepository

log = logging.getLogger("ledger.storage")
Versions = Sequence[int] | None
BATCH = 200


@dataclass
class Belongings:
    """The files of a record on disk.

    names: the files that the record and its children name. deleted: the records whose folders are deleted. sharing:
    records that stay, but whose folders may contain some of those files.
    """

    names: set[str]
    deleted: set[Key]
    sharing: set[Key]


def delete_job(storage: Storage, job_id: str, if_match: Versions, files: bool) -> bool:
    """Delete a job; if `files` is true, also all files that were made for it.

    False if there is no such job. Raises Stale. The generator log and the reference recording of the job, and the
    uploaded covers of its tracks, are always deleted, because another record may get the same id. A file that cannot be
    removed stays, and the log of this service names it.
    """
    find = partial(_of_job, job_id) if files else partial(_covers, storage, Track.job == job_id)
    deleted = _delete(storage, ("job", job_id), find, partial(JobRepository().delete, job_id, if_match))
    if deleted:
        storage.remove([storage.log(job_id), storage.reference(job_id)])
    return deleted


def delete_jobs(storage: Storage, job_ids: Sequence[str]) -> list[str]:
    """Delete jobs as delete_job() does without files. Returns the ids of those that were there.

    One transaction deletes all, except jobs with uploaded covers: each of them has its own, because each needs a note.
    """
    with database.atomic():
        _lock_jobs(job_ids)
        with_covers = _jobs_with_covers(storage, job_ids)
        deleted = JobRepository().delete_all([job_id for job_id in job_ids if job_id not in with_covers])
    storage.remove(path for job_id in deleted for path in (storage.log(job_id), storage.reference(job_id)))
    return deleted + [job_id for job_id in with_covers if delete_job(storage, job_id, None, files=False)]


def delete_jobs_with_files(storage: Storage, job_ids: Sequence[str]) -> tuple[list[str], dict[str, LedgerError]]:
    """Delete jobs and their files. Each job has its own transaction, because each needs a note.

    Returns (the ids of those that were deleted, why others could not be deleted, by id). A refusal stops no other.
    """
    deleted, refused = list[str](), dict[str, LedgerError]()
    for job_id in job_ids:
        try:
            if delete_job(storage, job_id, None, files=True):
                deleted.append(job_id)
        except LedgerError as error:
            refused[job_id] = error
    return deleted, refused


def delete_track(storage: Storage, track_id: str, if_match: Versions, files: bool) -> bool:
    """Delete a track and its loops, with files also the files in its folder and those it names in its job's folder.

    Its uploaded cover is always deleted.
    """
    this = Track.track_id == track_id
    find = partial(_of, this, Loop.track == track_id) if files else partial(_covers, storage, this)
    return _delete(storage, ("track", track_id), find, partial(TrackRepository().delete, track_id, if_match))


def delete_loop(storage: Storage, loop_id: str, if_match: Versions, files: bool) -> bool:
    """Delete a loop, with files also its files."""
    find = partial(_of, None, Loop.loop_id == loop_id) if files else None
    return _delete(storage, ("loop", loop_id), find, partial(LoopRepository().delete, loop_id, if_match))


def files_of_job(storage: Storage, job_id: str) -> set[Path]:
    """The files that delete_job() would remove if no other record names them."""
    return paths_of(storage, _of_job(job_id))


def named(storage: Storage, paths: Collection[Path]) -> set[Path]:
    """The subset of the paths that a track or a loop names now, or will name again if its discard is undone.

    The uploaded covers of these tracks count as named.
    """
    matches = _covers_in_use(storage, paths)
    ordered = list(paths)
    for batch in (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)):
        names = {name: path for path in batch for name in storage.spellings(path)}
        matches |= {names[name] for name in names_in_use(list(names))}
    return matches


def _covers_in_use(storage: Storage, paths: Collection[Path]) -> set[Path]:
    owners = {path: owner for path in paths if (owner := storage.owner(path)) and owner[0] == "track"}
    covers = {track_id: path for path, (_, track_id) in owners.items() if path == storage.cover(track_id)}
    ordered = list(covers)
    batches = (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
    return {covers[track_id] for batch in batches for track_id in tracks_in_use(batch)}


def remove_unnamed(storage: Storage, paths: Iterable[Path]) -> None:
    """Remove the files that no record names and that are not pending uploads.

    The order matters: pending uploads are read first. An upload that is no longer pending then is already named by its
    record, or will never be.
    """
    settled = set(paths) - pending_uploads(storage).keys()
    storage.remove(settled - named(storage, settled))


def belongings_of(track_rows: Collection[Any], loop_rows: Collection[Any]) -> Belongings:
    """The belongings of deleted tracks and loops.

    track_rows: (track_id, job_id, file_path_wav, file_path_mp3). loop_rows: (loop_id, result_path).
    """
    names = {name for row in track_rows for name in row[2:]} | {path for _, path in loop_rows}
    deleted = {("track", row[0]) for row in track_rows} | {("loop", row[0]) for row in loop_rows}
    return Belongings(names - {None}, deleted, {("job", row[1]) for row in track_rows})


def paths_of(storage: Storage, belongings: Belongings) -> set[Path]:
    """The files of deleted records that are there.

    Files in the folder of any other record are not among them, and nothing outside the storage folder is.
    """
    owners = {storage.folder(*key) for key in belongings.deleted | belongings.sharing}
    paths = {path for name in belongings.names if (path := storage.owned(name, owners))}
    return paths.union(*(storage.files(*key) for key in belongings.deleted))


def remove_belongings(storage: Storage, belongings: Belongings, needed: Collection[Path] = ()) -> None:
    """Remove the files that no record names, except those that are needed; then the empty folders."""
    remove_unnamed(storage, paths_of(storage, belongings).difference(needed))
    for key in belongings.deleted | {key for key in belongings.sharing if key[0] == "track"}:
        storage.remove_empty(*key)


def _delete(storage: Storage, record: Key, find: Callable[[], Belongings] | None, delete: Callable[[], bool]) -> bool:
    return delete() if find is None else _delete_with_files(storage, record, find, delete)


def _delete_with_files(
    storage: Storage, record: Key, find: Callable[[], Belongings], delete: Callable[[], bool]
) -> bool:
    """When the database is away, nobody knows whether the record is deleted. Then the note stays for housekeeping."""
    with database.atomic():
        _lock(*record)
        belongings = find()
        note = announce_removal(storage, record, paths_of(storage, belongings))
        try:
            deleted = delete()
        except LedgerError:
            forget_removal(note)
            raise
    if not deleted:
        forget_removal(note)
        return False
    try:
        remove_belongings(storage, belongings)
        forget_removal(note)
    except AWAY as error:  # the record is deleted: that is the answer
        log.warning("the files of %s stay for an hour, as the database is away: %s", belongings.deleted, error)
        release_connection()
    return True


def _lock(kind: str, record_id: str) -> None:
    """Lock a record that is to be deleted: until the end of the transaction, nobody uploads a cover for a track."""
    if kind == "job":
        _lock_jobs([record_id])
    elif kind == "track":
        lock_for_deletion(Track.select(Track.track_id).where(Track.track_id == record_id))


def _lock_jobs(job_ids: Sequence[str]) -> None:
    """Lock jobs, and then their tracks, to which none is added meanwhile."""
    lock_for_deletion(Job.select(Job.job_id).where(Job.job_id.in_(list(job_ids))).order_by(Job.job_id))
    lock_for_deletion(Track.select(Track.track_id).where(Track.job.in_(list(job_ids))).order_by(Track.track_id))


def _covers(storage: Storage, tracks: Expression) -> Belongings:
    """The uploaded covers of deleted tracks whose other files stay."""
    rows: Any = Track.select(Track.track_id).where(tracks).tuples()
    covers = {track_id: path for (track_id,) in rows if is_file(path := storage.cover(track_id))}
    return Belongings(set(map(storage.relative, covers.values())), set(), {("track", track_id) for track_id in covers})


def _jobs_with_covers(storage: Storage, job_ids: Sequence[str]) -> list[str]:
    rows: Any = Track.select(Track.job, Track.track_id).where(Track.job.in_(list(job_ids))).tuples()
    return list(dict.fromkeys(job_id for job_id, track_id in rows if is_file(storage.cover(track_id))))


def _of_job(job_id: str) -> Belongings:
    tracks = _of(Track.job == job_id, filters.loops_of_job(job_id))
    return Belongings(tracks.names, tracks.deleted | {("job", job_id)}, set())


def _of(tracks: Expression | None, loops: Expression) -> Belongings:
    track_rows = list(_track_rows(tracks)) if tracks is not None else []
    loop_rows: list[Any] = list(Loop.select(Loop.loop_id, Loop.result_path).where(loops).tuples())
    return belongings_of(track_rows, loop_rows)


def _track_rows(where: Expression) -> Iterator[Any]:
    columns = (Track.track_id, Track.job, Track.file_path_wav, Track.file_path_mp3)
    yield from Track.select(*columns).where(where).tuples()
