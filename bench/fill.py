"""Fills a database by SQL: jobs a second apart, each with one track and one loop; four in five are finished."""

import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from service import ROOT

sys.path.insert(0, str(ROOT))

from database import database, init_database, is_postgresql, release  # noqa: E402
from records.indexing import index_batch, jobs_behind  # noqa: E402
from settings import Settings  # noqa: E402

SOURCE = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT {0} UNION ALL SELECT i + 1 FROM n WHERE i < {1}) ",
    "postgresql": "WITH n (i) AS (SELECT i FROM generate_series({0}, {1}) AS s (i)) ",
}
# Without the modulo operator, because psycopg reads a percent sign as a parameter.
ID = "'{prefix}-' || i"
PROMPT = "CASE i WHEN 9 THEN 'needle' ELSE 'folk electronic guitar ' || i END"
METADATA = """'{"genre": "genre-' || (i - i / 10 * 10) || '", "mood": "calm", "language": "en"}'"""
TIME = "({start} + i) * CAST(1000000 AS bigint)"
DATETIME = "strftime('%Y-%m-%d %H:%M:%S.000000', {start} + i, 'unixepoch')"


@dataclass(frozen=True)
class Kind:
    """Jobs of one kind: how their ids begin, an SQL expression for their status, and when they begin (seconds)."""

    prefix: str
    status: str
    start: int


MIXED = Kind("fill", "CASE i - i / 5 * 5 WHEN 0 THEN 'pending' ELSE 'completed' END", 1_704_067_200)
RUNNING = Kind("load", "'generating_audio'", 1_704_000_000)  # the load reads and changes these oldest jobs
OURS = {
    "job (job_id, prompt, metadata, status, priority, created_at, updated_at, started_at, finished_at)": (
        f"SELECT {ID}, {PROMPT}, CAST({METADATA} AS {{json}}), {{status}}, "
        f"i - i / 10 * 10, {TIME}, {TIME}, {TIME}, {TIME} FROM n"
    ),
    "track (track_id, job_id, duration, created_at, updated_at)": f"SELECT {ID}, {ID}, 95.0, {TIME}, {TIME} FROM n",
    "loop (loop_id, track_id, duration, status, created_at, updated_at)": (
        f"SELECT {ID}, {ID}, 30.0, 'COMPLETED', {TIME}, {TIME} FROM n"
    ),
}
REPLACED = {
    "jobs (job_id, job_type, prompt, metadata, file_manifest, status, progress, created_at, updated_at)": (
        f"SELECT {ID}, 'diffrhythm', {PROMPT}, {METADATA}, '{{}}', {{status}}, 0, {DATETIME}, {DATETIME} FROM n"
    ),
    "tracks (track_id, job_id, duration, metadata, created_at, updated_at)": (
        f"SELECT {ID}, {ID}, 95.0, '{{}}', {DATETIME}, {DATETIME} FROM n"
    ),
    "loops (loop_id, track_id, duration, status, fade_in_out, format, progress, created_at, updated_at)": (
        f"SELECT {ID}, {ID}, 30.0, 'COMPLETED', 0, 'MP3', 0, {DATETIME}, {DATETIME} FROM n"
    ),
}


def fill(url: str, numbers: range, kind: Kind = MIXED) -> None:
    """Add jobs with these numbers to a database of this service, and create its schema if it has none."""
    init_database(Settings(_env_file=None, database_url=url))
    name, json = ("postgresql", "jsonb") if is_postgresql() else ("sqlite", "text")
    if name == "sqlite":
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):  # the schema exists
            database.execute_sql(f"PRAGMA {pragma}")
    with database.atomic():
        for statement in statements(OURS, name, numbers, kind):
            database.execute_sql(statement.replace("{json}", json))
        database.execute_sql("DELETE FROM delivery")  # as if all webhooks had been sent
        while name == "sqlite" and jobs_behind():  # as housekeeping does soon
            index_batch(10_000)
    if name == "postgresql":
        database.execute_sql("VACUUM ANALYZE job")  # as autovacuum does soon
    release()


def fill_replaced(path: Path, numbers: range, kind: Kind = MIXED) -> None:
    """Add the same jobs to a database of the replaced service."""
    with sqlite3.connect(path) as connection:
        for statement in statements(REPLACED, "sqlite", numbers, kind):
            connection.execute(statement)
    connection.close()


def statements(tables: dict[str, str], database_name: str, numbers: range, kind: Kind) -> list[str]:
    """One INSERT for each table."""
    source = SOURCE[database_name].format(numbers.start, numbers.stop - 1)
    inserts = [f"{source}INSERT INTO {columns} {rows}" for columns, rows in tables.items()]
    for name, value in vars(kind).items():
        inserts = [insert.replace(f"{{{name}}}", str(value)) for insert in inserts]
    return inserts
