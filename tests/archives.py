"""Jobs with files for the tests of the archive, and what a database has of them."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from database import database
from files.storage import Storage
from maintenance.archive import ledger
from maintenance.archive.ledger import Rule
from models import Event, Job, Loop, Track, microseconds, utc_now
from records.writes import placed
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.forked import Python
from tests.service import ROOT, clean_environment

MOVE_FOR_EVER = """
import sys
from pathlib import Path
from maintenance.archive import moves
from maintenance.archive.ledger import Rule
moves.BATCH, path = 3, Path(sys.argv[1])
while True:
    moves.archive(path, Rule(2**60), files=True)
    moves.unarchive(path)
"""
jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()


def make_job(storage: Storage, name: str, status: str = "completed") -> None:
    """A finished job with a log, a track with a WAV, and a loop with an MP3."""
    metadata = {"n": 1.5, "deep": {"a": [1, None, "é"]}}
    jobs.create(job_id=name, prompt=f"雨 {name}\n", metadata=metadata, seed=2**32 - 1, takes=2)
    jobs.update(name, status=status, message=None, error="none" if status == "failed" else None)
    names = {"log": f"jobs/{name}/generator.log", "wav": f"jobs/{name}/aaaaaaaaaaaa/s.wav"}
    names["mp3"] = f"loops/{name}-l/bbbbbbbbbbbb/l.mp3"
    for path in (storage.root / place for place in names.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{path.name} of {name}".encode())
    made = {"seed": 2**32 - 1, "take": 1, "provenance": {"generator": "é", "parameters": {"cfg": 4.5}}}
    tracks.create(track_id=f"{name}-t", job_id=name, duration=1 / 3, file_path_wav=names["wav"], **made)
    loops.create(loop_id=f"{name}-l", track_id=f"{name}-t", duration=9, candidate=2, result_path=names["mp3"])
    loops.update(f"{name}-l", status="COMPLETED")


def storage_with(settings: Settings, statuses: dict[str, str]) -> Storage:
    """The storage folder, with finished jobs of these statuses in it, by job_id, and their files."""
    made = Storage(settings)
    made.root.mkdir(exist_ok=True)
    for name, status in statuses.items():
        make_job(made, name, status)
    return made


def everyone() -> Rule:
    """A rule that every finished job meets: nothing has changed since a moment that is still to come."""
    return Rule(microseconds(utc_now()) + 60_000_000)


def ids(path: Path | None = None) -> set[str]:
    """The ids of the jobs of the ledger, or of an archive, as another program reads them."""
    if path is None:
        return {job_id for (job_id,) in Job.select(Job.job_id).tuples()}
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as connection:
        has_jobs = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'job'").fetchone()
        return {job_id for (job_id,) in connection.execute("SELECT job_id FROM job")} if has_jobs else set()


def values() -> dict[str, list[Any]]:
    """Every job, track and loop of the bound database: their rows in order."""
    return {model.__name__: sorted(model.select().tuples(), key=str) for model in (Job, Track, Loop)}


def events() -> dict[int, tuple[Any, ...]]:
    """Every event by its id."""
    return {row[0]: row for row in Event.select(Event.event_id, Event.entity_id, Event.change).tuples()}


def stored(folder: Path) -> dict[str, bytes]:
    """The files of a folder that are not hidden: their content by path."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(".")}


def mover_process(settings: Settings, path: Path) -> subprocess.Popen[bytes]:
    """A process that moves all jobs to and fro, in small batches, until it is killed."""
    env = clean_environment(DATABASE_URL=settings.database_url, STORAGE_DIR=str(settings.storage_dir))
    return Python([sys.executable, "-c", MOVE_FOR_EVER, str(path)], cwd=ROOT, env=env)


def move_only_the_rows(storage: Storage, name: str) -> None:
    """Delete a job as a move does, without an archive that gets it."""
    versions, newest = ledger.versions([name]), ledger.mark()
    assert ledger.take_out(everyone(), versions, newest) == [name]


def execute(statement: str, *arguments: Any) -> None:
    """Run a statement, with ? for values."""
    database.execute_sql(placed(statement), arguments)


def age(moment: int) -> None:
    """Let nothing have changed since a moment."""
    for table in ("job", "track", "loop"):
        execute(f"UPDATE {table} SET updated_at = ?", moment)
    execute("UPDATE event SET created_at = ?", moment)
