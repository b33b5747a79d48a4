"""The files that belong to records: found before the records are deleted, removed after."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from peewee import Expression

import filters
from models import Loop, Track
from storage import Storage

Key = tuple[str, str]  # (job, track or loop; its id)


@dataclass
class Belongings:
    """Names of files; the records that go, whose folders go as well; and records that stay but share their files."""

    names: set[str]
    gone: set[Key]
    sharing: set[Key]

    def remove(self, storage: Storage) -> None:
        """Remove them; what is in the folder of any other record stays, and so does all outside the storage folder."""
        owners = {storage.folder(*key) for key in self.gone | self.sharing}
        for name in self.names:
            storage.remove(name, owners)
        for key in self.gone:
            storage.remove_folder(*key)


def of_job(job_id: str) -> Belongings:
    """What a job has: its log, and the files of its tracks and their loops."""
    found = _of(Track.job == job_id, filters.loops_of_job(job_id))
    return Belongings(found.names, found.gone | {("job", job_id)}, set())


def of_track(track_id: str) -> Belongings:
    """What a track has: its files, those in its job's folder too, and the files of its loops."""
    return _of(Track.track_id == track_id, Loop.track == track_id)


def of_loop(loop_id: str) -> Belongings:
    """What a loop has: its file."""
    return _of(None, Loop.loop_id == loop_id)


def _of(tracks: Expression | None, loops: Expression) -> Belongings:
    track_rows: Iterable[Any] = []
    if tracks is not None:
        columns = (Track.track_id, Track.job, Track.file_path_wav, Track.file_path_mp3)
        track_rows = list(Track.select(*columns).where(tracks).tuples())
    loop_rows: list[Any] = list(Loop.select(Loop.loop_id, Loop.result_path).where(loops).tuples())
    names = {name for row in track_rows for name in row[2:]} | {path for _, path in loop_rows}
    gone = {("track", row[0]) for row in track_rows} | {("loop", row[0]) for row in loop_rows}
    return Belongings(names - {None}, gone, {("job", row[1]) for row in track_rows})
