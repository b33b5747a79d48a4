"""Checks of the database: its file, its schema, its numbers and its search index."""

from collections.abc import Iterator
from typing import Any

import cysqlite
import peewee
from playhouse.schema_diff import diff_models

from database import database, is_postgresql, schema_state
from database.library_index import job_entries, job_entry, track_entries, track_entry
from maintenance.checks.faults import Fault, Place
from maintenance.checks.fresh import differences
from models import Delivery, Discard, Event, Job, Loop, Track, Worker
from records.indexing import index_batch, jobs_behind

MODELS: list[Any] = [Job, Track, Loop, Event, Delivery, Discard, Worker]
STATUS = {"job": "status", "track": "''", "loop": "status"}
OF_RECORDS = "entity IN ('job', 'track', 'loop')"  # the other numbers of the tally count what has happened
PARENTS = {"track": "job", "loop": "track"}
RESTORE = "restore a backup with `flask restore`"
# Jobs that are not in the index although they should be, and jobs that should not be there: (rowid, name).
UNINDEXED = """SELECT job.rowid, job.job_id FROM job WHERE job.rowid <= (SELECT job_rowid FROM search_mark)
    AND job.rowid NOT IN (SELECT job_rowid FROM search_stale)
    AND NOT EXISTS (SELECT 1 FROM job_search_docsize WHERE id = job.rowid)
    UNION ALL SELECT id, 'a deleted job' FROM job_search_docsize WHERE id NOT IN (SELECT job_rowid FROM search_stale)
    AND NOT EXISTS (SELECT 1 FROM job WHERE job.rowid = id)"""


# The same for the index of tracks.
UNLISTED = """SELECT job.rowid, job.job_id FROM job WHERE job.rowid NOT IN (SELECT job_rowid FROM library_stale)
    AND EXISTS (SELECT 1 FROM track WHERE track.job_id = job.job_id)
    AND NOT EXISTS (SELECT 1 FROM library_search_docsize WHERE id = job.rowid)
    UNION ALL SELECT id, 'a deleted job' FROM library_search_docsize WHERE id NOT IN
    (SELECT job_rowid FROM library_stale) AND NOT EXISTS (SELECT 1 FROM job WHERE job.rowid = id)"""
# Tracks and jobs with tracks that PostgreSQL's index does not have, or has with wrong words.
UNWORDED_TRACKS = f"""SELECT track.track_id FROM track
    LEFT JOIN library_track ON track.track_id = library_track.track_id
    WHERE (library_track.words, library_track.genre) IS DISTINCT FROM ({track_entry("track")})"""
UNWORDED_JOBS = f"""SELECT job.job_id FROM job LEFT JOIN library_job ON job.job_id = library_job.job_id
    WHERE EXISTS (SELECT 1 FROM track WHERE track.job_id = job.job_id)
    AND (library_job.words, library_job.genre) IS DISTINCT FROM ({job_entry("job")})"""


def damaged_database(place: Place) -> Iterator[Fault]:
    """A damaged SQLite file. PostgreSQL looks after its own files."""
    if is_postgresql():
        return
    try:
        messages = [message for (message,) in database.execute_sql("PRAGMA integrity_check(20)").fetchall()]
    except (peewee.DatabaseError, cysqlite.DatabaseError) as error:  # the driver's own error, while rows are read
        messages = [str(error)]
    yield from (Fault("damaged_database", str(message), RESTORE) for message in messages if message != "ok")


def missing_parent(place: Place) -> Iterator[Fault]:
    """Tracks without a job, and loops without a track: a program wrote them without foreign keys."""
    for child, parent in PARENTS.items():
        orphans = f"""SELECT {child}_id FROM {child} WHERE NOT EXISTS
            (SELECT 1 FROM {parent} WHERE {parent}.{parent}_id = {child}.{parent}_id)"""
        for (name,) in database.execute_sql(orphans).fetchall():
            yield Fault(
                "missing_parent", f"{child} {name}", f"its {parent} does not exist: delete this {child}, or {RESTORE}"
            )


def wrong_schema(place: Place) -> Iterator[Fault]:
    """Migrations and columns that are not those of this program."""
    pending, unknown = schema_state()
    for name in pending:
        yield Fault("wrong_schema", name, "this migration is missing: restart the service")
    for name in unknown:
        yield Fault("wrong_schema", name, "a newer version of this program wrote this migration: start that version")
    diff = diff_models(database.obj, MODELS)
    for model in diff.create_tables:
        yield Fault("wrong_schema", f"table {model._meta.table_name}", f"the table is missing: {RESTORE}")
    for field in diff.add_columns:
        column = f"column {field.model._meta.table_name}.{field.column_name}"
        yield Fault("wrong_schema", column, f"the column is missing: {RESTORE}")
    for table, column in diff.drop_columns:
        if (table, column) != ("job", "rowid"):  # SQLite's search index refers to it, and no model needs it
            yield Fault("wrong_schema", f"column {table}.{column}", "this program has no such column: drop it")


def wrong_object(place: Place) -> Iterator[Fault]:
    """Triggers, functions, indexes, constraints and tables that are missing, or that differ from a new database."""
    for kind, name, is_missing in differences():
        problem = "is missing" if is_missing else "is not the one of this program"
        yield Fault(f"wrong_{kind}", name, f"it {problem}: {RESTORE}, or create it as in a new database")


def wrong_tally(place: Place) -> Iterator[Fault]:
    """Numbers of records by status that differ from a count. One statement reads both."""
    both = f"{_counted()} UNION ALL SELECT entity, status, -number FROM tally WHERE {OF_RECORDS}"
    sums = f"SELECT entity, status, sum(number) FROM ({both}) AS both_numbers GROUP BY entity, status"
    for entity, status, more in database.execute_sql(sums).fetchall():
        if more:
            advice = f"`flask check --fix` counts again: {abs(more)} too {'few' if more > 0 else 'many'} are counted"
            yield Fault("wrong_tally", f"{entity} {status}".strip(), advice)


def incomplete_search(place: Place) -> Iterator[Fault]:
    """Jobs and tracks that a search does not find although housekeeping believes that they are in the index."""
    advice = "`flask check --fix` puts it into the search index"
    if is_postgresql():
        for entity, query in (("track", UNWORDED_TRACKS), ("job", UNWORDED_JOBS)):
            for (name,) in database.execute_sql(query).fetchall():
                yield Fault("incomplete_search", f"{entity} {name}", advice)
        return
    names = [name for query in (UNINDEXED, UNLISTED) for _, name in database.execute_sql(query).fetchall()]
    yield from (Fault("incomplete_search", f"job {name}", advice) for name in dict.fromkeys(names))


def rebuild_tally() -> None:
    """Count all records again, in one transaction."""
    with database.atomic():
        if is_postgresql():
            database.execute_sql("LOCK TABLE tally IN EXCLUSIVE MODE")  # writers wait; the next statement sees them all
            database.execute_sql(f"DELETE FROM tally WHERE {OF_RECORDS}")
        else:
            database.execute_sql(f"UPDATE tally SET number = 0 WHERE {OF_RECORDS}")
        ending = "" if is_postgresql() else " WHERE true ON CONFLICT DO UPDATE SET number = excluded.number"
        database.execute_sql(
            f"INSERT INTO tally (entity, status, number) SELECT * FROM ({_counted()}) AS counted{ending}"
        )


def complete_search() -> None:
    """Put the jobs and tracks that are missing in an index into it, and take deleted ones out."""
    if is_postgresql():
        with database.atomic():
            database.execute_sql(track_entries(f"track_id IN ({UNWORDED_TRACKS})"))
            database.execute_sql(f"DELETE FROM library_job WHERE job_id IN ({UNWORDED_JOBS})")
            database.execute_sql(job_entries(f"job_id IN ({UNWORDED_JOBS})"))
        return
    with database.atomic():
        for query, stale in ((UNINDEXED, "search_stale"), (UNLISTED, "library_stale")):
            rowids = [rowid for rowid, _ in database.execute_sql(query).fetchall()]
            for rowid in rowids:
                database.execute_sql(f"INSERT OR IGNORE INTO {stale} (job_rowid) VALUES (?)", [rowid])
    while jobs_behind():
        index_batch()


def _counted() -> str:
    """The statement that counts all records: entity, status, number."""
    groups = {table: f"GROUP BY {status}" if status == "status" else "" for table, status in STATUS.items()}
    counts = (f"SELECT '{table}' AS entity, {STATUS[table]} AS status, count(*) AS number FROM {table} {group}"
              for table, group in groups.items())  # fmt: skip
    return " UNION ALL ".join(counts)
