"""The schema: what it refuses from any writer, its indexes, and migrations."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peewee import DataError, IntegrityError
from playhouse.schema_diff import diff_models

from database import database, init_database, is_postgresql, schema_state
from errors import SchemaTooNew
from models import Delivery, Discard, Event, Job, Loop, Track, Worker
from repos import JobRepository, LoopRepository, Page, TrackRepository
from tests.conftest import matching_ids

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def changes_of(entity_id: str) -> list[str]:
    """What the events say happened to a record."""
    return [event.change for event in Event.select().where(Event.entity_id == entity_id).order_by(Event.event_id)]


def sql(statement: str, *values: Any) -> Any:
    """Run a statement as another program would, with ? for values."""
    return database.execute_sql(statement.replace("?", database.param), values)


def test_the_models_and_the_migrations_agree() -> None:
    diff = diff_models(database.obj, [Job, Track, Loop, Event, Delivery, Discard, Worker])
    ours = [("job", "rowid")] if not is_postgresql() else []
    assert (diff.create_tables, diff.add_columns, diff.add_indexes) == ([], [], [])
    assert diff.drop_columns == ours
    by_name = {"track_wav", "track_mp3", "loop_result", "track_duration", "track_seed", "track_name"}
    by_name |= {"track_job_duration", "track_job_name"}
    by_name |= {
        "track_starred",
        "job_claim",
        "job_queue",
        "job_finished",
        "job_lease",
        "loop_claim",
        "loop_lease",
    }  # of some rows
    by_name |= {*(["job_search", "job_metadata"] if is_postgresql() else [])}
    assert {index.name for index in diff.drop_indexes} == by_name


def test_starting_again_changes_nothing(ledger: Any, job: Job) -> None:
    init_database(ledger)
    assert schema_state() == ([], [])
    assert jobs.get_by_id(job.job_id) == job


def test_a_schema_of_a_newer_version_is_refused(ledger: Any) -> None:
    sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    with pytest.raises(SchemaTooNew, match="newer version.*9999_future"):
        init_database(ledger)


def test_every_index_is_used_by_the_list_it_is_for(kind: str) -> None:
    if kind == "postgresql":
        pytest.skip("PostgreSQL plans by table size; tests of scale are in bench")
    for query, index in [
        (jobs._selected(Page()), "job_created_at"),
        (jobs._selected(Page(), jobs.in_status("pending")), "job_status"),
        (tracks._selected(Page(), Track.job == "x"), "track_job"),
        (loops._selected(Page(), Loop.track == "x"), "loop_track"),
    ]:
        plan = " ".join(
            str(row) for row in database.execute_sql(f"EXPLAIN QUERY PLAN {query.sql()[0]}", query.sql()[1])
        )
        assert f"USING INDEX {index}" in plan or f"USING COVERING INDEX {index}" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


# --- what the database refuses from any writer

BAD_ROWS = [
    ("job", "INSERT INTO job (job_id, prompt, status) VALUES ('x', 'p', 'unheard')"),
    ("job", "INSERT INTO job (job_id, prompt, progress) VALUES ('x', 'p', 101)"),
    ("job", "INSERT INTO job (job_id, prompt, progress) VALUES ('x', 'p', -1)"),
    ("job", "INSERT INTO job (job_id, prompt, progress) VALUES ('x', 'p', 'many')"),
    ("job", "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', 'p', 'no json')"),
    ("job", "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', 'p', '[1]')"),
    ("job", "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', 'p', NULL)"),
    ("job", "INSERT INTO job (job_id, prompt, file_manifest) VALUES ('x', 'p', '3')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('a b', 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('..', 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('', 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES (NULL, 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('job-1', 'again')"),
    ("job", "INSERT INTO job (job_id, prompt, job_type) VALUES ('x', 'p', 'a b')"),
    ("job", "INSERT INTO job (job_id, prompt, max_attempts) VALUES ('x', 'p', 0)"),
    ("job", "INSERT INTO job (job_id, prompt, created_at) VALUES ('x', 'p', -1)"),
    ("track", "INSERT INTO track (track_id, job_id) VALUES ('x', 'no-job')"),
    ("track", "INSERT INTO track (track_id, job_id, duration) VALUES ('x', 'job-1', 0)"),
    ("track", "INSERT INTO track (track_id, job_id, metadata) VALUES ('x', 'job-1', '\"text\"')"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration) VALUES ('x', 'no-track', 10)"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration) VALUES ('x', 'track-1', 0)"),
    ("loop", "INSERT INTO loop (loop_id, track_id) VALUES ('x', 'track-1')"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration, format) VALUES ('x', 'track-1', 10, 'OGG')"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration, status) VALUES ('x', 'track-1', 10, 'pending')"),
    ("event", "INSERT INTO event (entity, entity_id, job_id, change) VALUES ('song', 'x', 'x', 'created')"),
    ("event", "INSERT INTO event (entity, entity_id, job_id, change) VALUES ('job', 'x', 'x', 'touched')"),
]

BAD_TYPES = [statement for _, statement in BAD_ROWS if "'many'" in statement or "'no json'" in statement]


@pytest.mark.parametrize(("table", "statement"), BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_raw_sql_that_breaks_a_rule_is_refused(table: str, statement: str, loop: Loop, kind: str) -> None:
    before = sql(f"SELECT count(*) FROM {table}").fetchone()
    refusal = DataError if kind == "postgresql" and statement in BAD_TYPES else IntegrityError
    with pytest.raises(refusal):
        sql(statement)
    assert sql(f"SELECT count(*) FROM {table}").fetchone() == before


def test_raw_sql_that_keeps_the_rules_gets_the_defaults() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # SQLite's own clock counts milliseconds
    sql("INSERT INTO job (job_id, prompt) VALUES ('raw', 'from a shell')")
    job = Job.get_by_id("raw")
    assert (job.status, job.progress, job.metadata, job.max_attempts) == ("pending", 0, {}, 3)
    assert before <= job.created_at <= datetime.now(UTC) + timedelta(milliseconds=1)
    assert changes_of("raw") == ["created"]


def test_old_sqlite_shells_can_write(kind: str, ledger: Any) -> None:
    if kind == "postgresql":
        pytest.skip("SQLite alone")
    shell(ledger, "INSERT INTO job (job_id, prompt) VALUES ('shell', '木吉他 rain')")
    shell(ledger, "UPDATE job SET progress = 7, prompt = '口琴 wind' WHERE job_id = 'shell'")
    assert changes_of("shell") == ["created", "updated"]
    assert matching_ids("口琴") == ["shell"] and matching_ids("吉他") == []


def test_shells_that_leave_foreign_keys_off_are_held_to_them(kind: str, ledger: Any, loop: Loop) -> None:
    if kind == "postgresql":
        pytest.skip("SQLite alone")
    assert "FOREIGN KEY constraint failed" in shell(
        ledger, "INSERT INTO track (track_id, job_id) VALUES ('t', 'nobody')"
    )
    assert "FOREIGN KEY constraint failed" in shell(ledger, "UPDATE loop SET track_id = 'nobody'")
    assert shell(ledger, "DELETE FROM job") == ""
    assert (Track.select().count(), Loop.select().count()) == (0, 0)
    for record_id in ("job-1", "track-1", "loop-1"):
        assert changes_of(record_id) == ["created", "deleted"]


def shell(ledger: Any, statement: str) -> str:
    """Run a statement with Python's own sqlite3; in a process of its own, as two SQLites drop each other's locks."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    command = [sys.executable, "-c", script, str(ledger.sqlite_path), statement]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stderr


def test_a_replaced_job_is_deleted_and_made_and_search_goes_on(kind: str) -> None:
    if kind == "postgresql":
        pytest.skip("REPLACE is SQLite's")
    for _ in range(2):
        Job.replace(job_id="a", prompt="first words").execute()
    assert changes_of("a") == ["created", "deleted", "created"]
    jobs.delete("a")
    assert jobs.create(job_id="b", prompt="second words") and matching_ids("words") == ["b"]
