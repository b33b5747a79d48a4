"""Ledgers full of everything, for the tests of what moves them."""

import io
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from database import database, init_database, is_postgresql
from maintenance.transfer import exporting, importing
from models import Event, Job, Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings

START = 1_700_000_000_000_000
# Numbers and keys that PostgreSQL stores in another way than they were written.
METADATA = """{"z": 1, "x": 9.3e18, "a": {"Ё": 1.50, "b": -0.0}, "n": [1e16, 1E-7, 1e300, 9300000000000000000,
    1.2345678901234567e17, 12345678901234567890, 20.0, 1e2, 5e-324],
    "s": "\\u00e9 🎵 \\\\", "t": [true, null, {}, []]}"""


def fill(number: int) -> None:
    """Add so many jobs by SQL, each with a track and a loop; several have the same time, and most have ended."""
    source = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
    kind = "jsonb" if is_postgresql() else "text"
    for statement in (
        f"""INSERT INTO job (job_id, prompt, metadata, status, created_at, updated_at) SELECT 'Job_' || i,
            'folk guitar ёлка ' || i, CAST('{METADATA}' AS {kind}), CASE WHEN i - i / 5 * 5 = 0 THEN 'pending' ELSE
            'completed' END, {START} + i / 3, {START} + i FROM n""",
        f"""INSERT INTO track (track_id, job_id, duration, file_path_wav, created_at, updated_at) SELECT 'track-' || i,
            'Job_' || i, 95.25, 'tracks/track-' || i || '/a.wav', {START} + i / 3, {START} + i FROM n""",
        f"""INSERT INTO loop (loop_id, track_id, duration, status, created_at, updated_at) SELECT 'loop.' || i,
            'track-' || i, 30, 'COMPLETED', {START}, {START} + i FROM n""",
    ):
        database.execute_sql(source + statement)


def live() -> None:
    """Add records as the service makes them: leased, cancelled, ended, changed and deleted ones."""
    jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
    for name in ("leased", "done", "cancelled", "deleted", "waiting"):
        jobs.create(job_id=name, prompt=f"{name} rain", metadata={"genre": name, "bpm": 120.5}, priority=-1, takes=2)
        made = {"seed": 2**32 - 1, "take": 2, "provenance": {"generator": "synth", "seconds": 4.25}}
        tracks.create(track_id=f"{name}-1", job_id=name, duration=30.5, **made)
        length: dict[str, Any] = {"bars": 8, "intro": False} if name == "waiting" else {"duration": 12}
        loops.create(loop_id=f"{name}-1-a", track_id=f"{name}-1", start=1.5, end=9.25, exact=True, **length)
    jobs.update("leased", priority=5)
    jobs.claim("worker-1")
    jobs.update("done", status="completed", file_manifest={"wav": "tracks/done-1/a.wav"})
    jobs.cancel("cancelled")
    jobs.delete("deleted")
    loops.update("done-1-a", status="COMPLETED", result_path="loops/done-1-a/a.mp3", analysis={"bpm": 96.125})


def exported(since: int | None = None) -> bytes:
    """An export of the bound database."""
    out = io.BytesIO()
    exporting.export(out, since)
    return out.getvalue()


def import_bytes(data: bytes) -> dict[str, int]:
    """Import an export into the bound database."""
    with io.BytesIO(data) as file:
        return importing.import_file(file)


def another(template: Path, folder: Path) -> Settings:
    """Bind an empty SQLite database in a folder."""
    folder.mkdir(exist_ok=True)
    shutil.copy(template, folder / "app.db")
    settings = Settings(_env_file=None, database_url=f"sqlite:///{folder / 'app.db'}", storage_dir=folder / "output")
    init_database(settings)
    return settings


def counts() -> dict[str, int]:
    """The number of rows of each table."""
    return {model._meta.table_name: model.select().count() for model in (Job, Track, Loop, Event)}


def now() -> int:
    """The microseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1_000_000)


def parse(data: bytes) -> list[dict[str, Any]]:
    """The lines of an export."""
    return [json.loads(line) for line in data.splitlines()]


def changed(file: bytes, number: int, **fields: Any) -> bytes:
    """The file with other fields in a line, counted from 1; a field that is `...` is left out."""
    lines = file.splitlines(keepends=True)
    line = {**json.loads(lines[number - 1]), **fields}
    kept = {name: value for name, value in line.items() if value is not ...}
    return b"".join([*lines[: number - 1], json.dumps(kept).encode() + b"\n", *lines[number:]])
