"""Records deleted with their files: the files go after the commit, and only those that no record names any more."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peewee import Expression

from database import database
from files.storage import Storage
from models import Loop, Track
from records import filters
from repos import JobRepository, LoopRepository, TrackRepository

Key = tuple[str, str]  # (job, track or loop; its id)
Versions = Sequence[int] | None
BATCH = 200


@dataclass
class Belongings:
    """Names of files; the records that go, whose folders go as well; and records that stay but share their files."""

    names: set[str]
    gone: set[Key]
    sharing: set[Key]


def delete_job(storage: Storage, job_id: str, if_match: Versions, files: bool) -> bool:
    """True when it was there and is gone, with files all that were made for it, too. Raises Stale.

    Its log goes in any case: another job may get its id.
    """
    deleted = _delete(storage, files, lambda: _of_job(job_id), lambda: JobRepository().delete(job_id, if_match))
    if deleted:
        storage.log(job_id).unlink(missing_ok=True)
    return deleted


def delete_track(storage: Storage, track_id: str, if_match: Versions, files: bool) -> bool:
    """The same for a track and its loops: its files in its job's folder go, too."""
    rows = (Track.track_id == track_id, Loop.track == track_id)
    return _delete(storage, files, lambda: _of(*rows), lambda: TrackRepository().delete(track_id, if_match))


def delete_loop(storage: Storage, loop_id: str, if_match: Versions, files: bool) -> bool:
    """The same for a loop."""
    row = Loop.loop_id == loop_id
    return _delete(storage, files, lambda: _of(None, row), lambda: LoopRepository().delete(loop_id, if_match))


def named(storage: Storage, paths: Collection[Path]) -> set[Path]:
    """Those of the paths that a track or a loop names, as they are now."""
    found: set[Path] = set()
    todo = list(paths)
    for some in (todo[start : start + BATCH] for start in range(0, len(todo), BATCH)):
        names = {name: path for path in some for name in (storage.relative(path), str(path))}
        queries: list[Any] = [
            Track.select(field).where(field.in_(list(names))) for field in (Track.file_path_wav, Track.file_path_mp3)
        ]
        queries.append(Loop.select(Loop.result_path).where(Loop.result_path.in_(list(names))))
        found |= {names[name] for query in queries for (name,) in query.tuples()}
    return found


def _delete(storage: Storage, files: bool, find: Callable[[], Belongings], delete: Callable[[], bool]) -> bool:
    with database.atomic():
        belongings = find() if files else None
        deleted = delete()
    if deleted and belongings is not None:
        _remove(storage, belongings)
    return deleted


def _remove(storage: Storage, belongings: Belongings) -> None:
    """What is in the folder of any other record stays, and so does all outside the storage folder."""
    owners = {storage.folder(*key) for key in belongings.gone | belongings.sharing}
    found = {path for name in belongings.names if (path := storage.owned(name, owners))}
    for key in belongings.gone:
        found |= set(storage.files(*key))
    storage.remove(found - named(storage, found))
    for key in belongings.gone:
        storage.remove_empty(*key)


def _of_job(job_id: str) -> Belongings:
    found = _of(Track.job == job_id, filters.loops_of_job(job_id))
    return Belongings(found.names, found.gone | {("job", job_id)}, set())


def _of(tracks: Expression | None, loops: Expression) -> Belongings:
    track_rows = list(_track_rows(tracks)) if tracks is not None else []
    loop_rows: list[Any] = list(Loop.select(Loop.loop_id, Loop.result_path).where(loops).tuples())
    names = {name for row in track_rows for name in row[2:]} | {path for _, path in loop_rows}
    gone = {("track", row[0]) for row in track_rows} | {("loop", row[0]) for row in loop_rows}
    return Belongings(names - {None}, gone, {("job", row[1]) for row in track_rows})


def _track_rows(where: Expression) -> Iterator[Any]:
    columns = (Track.track_id, Track.job, Track.file_path_wav, Track.file_path_mp3)
    yield from Track.select(*columns).where(where).tuples()
