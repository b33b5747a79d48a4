"""Kills uploads, removals and deletions of covers at each of their steps: python -m tests.killed_covers ACTION FOLDER.

A step is a file operation, and the moment after a statement. Prints at how many steps a run is killed.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from database import database, init_database
from files.covers import receive_cover, remove_cover
from files.deletion import delete_job, delete_jobs, delete_track
from files.leftovers import remove_leftovers
from files.removals import removal_notes
from files.storage import PARTS, Storage
from models import Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.killed import SQL, kill_at_every_step

SIGN = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1"
OLD, NEW = SIGN + b"old", SIGN + b"new" * 100_000
settings = Settings(
    _env_file=None, db_path=Path(sys.argv[2], "app.db"), storage_dir=Path(sys.argv[2], "output").absolute()
)
storage = Storage(settings)
path = storage.cover("t")


class Upload:
    """An upload of the new cover."""

    def save(self, part: Path, limit: int) -> None:
        """Write it."""
        part.write_bytes(NEW)


def bind() -> None:
    """Open the database, and raise an event after each statement."""
    init_database(settings)
    database.query_hooks.append(lambda event: sys.audit(SQL))


def begin() -> None:
    """One job with a track that has a cover and a sound."""
    init_database(settings)
    Job.delete().execute()
    JobRepository().create(job_id="j", prompt="x")
    TrackRepository().create(track_id="t", job_id="j", file_path_wav="a.wav")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(OLD)
    (storage.root / PARTS).mkdir(exist_ok=True)
    (storage.root / "a.wav").write_bytes(b"sound")


def look(covers: tuple[bytes | None, ...]) -> None:
    """A track that is there has one of these covers, whole; a track that is gone has none.

    After housekeeping, nothing else is left.
    """
    init_database(settings)
    present = Track.select().exists()
    for note in removal_notes(storage):
        os.utime(note, (0, 0))
    remove_leftovers(storage)
    for part in (storage.root / PARTS).iterdir():
        os.utime(part, (0, 0))
    storage.remove_old_parts(in_use=())
    assert not list((storage.root / PARTS).iterdir())
    cover = path.read_bytes() if path.exists() else None
    assert cover in (covers if present else (None,)), (present, cover)
    assert not removal_notes(storage)


ACTIONS: dict[str, tuple[Callable[[], object], tuple[bytes | None, ...]]] = {
    "replace": (lambda: receive_cover(storage, "t", Upload()), (OLD, NEW)),
    "remove": (lambda: remove_cover(storage, "t"), (OLD, None)),
    "delete_track": (lambda: delete_track(storage, "t", None, files=False), (OLD,)),
    "delete_files": (lambda: delete_track(storage, "t", None, files=True), (OLD,)),
    "delete_job": (lambda: delete_job(storage, "j", None, files=False), (OLD,)),
    "delete_jobs": (lambda: delete_jobs(storage, ["j"]), (OLD,)),
}


def kill(name: str) -> int:
    """The number of runs of an action that were killed."""
    action, covers = ACTIONS[name]

    def bound() -> None:
        bind()
        action()

    return kill_at_every_step(begin, bound, lambda: look(covers))


if __name__ == "__main__":
    settings.storage_dir.mkdir(parents=True, exist_ok=True)
    print(kill(sys.argv[1]))
