"""Migrations: one transaction for each, rebuilt tables and their children, and what a failed one leaves."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest
from peewee import IntegrityError

from database import database, init_database, is_postgresql, migrating, plan, release, schema, schema_state
from database.altering import quietly, rebuild_table
from errors import DatabaseUnusable, MigrationFailed, SchemaTooNew
from models import Event, Job, Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.conftest import ROOT, matching_ids, on_postgresql, on_sqlite
from tests.migrations import folder_with, read, snapshot

pytestmark = pytest.mark.usefixtures("ledger")
Migrate = Callable[..., list[str]]

TITLE = """
from database.altering import add_column
def up(migrator, db):
    add_column(db, "track", "subtitle TEXT")
"""
SILENT = TITLE.replace('"subtitle TEXT"', '"secret TEXT", is_shown=False')
FAILS = TITLE + '    db.execute_sql("UPDATE job SET prompt = 1 / 0, no_such_column = 2")\n'
BROKEN = TITLE + "    raise KeyError('no such genre')\n"
REBUILT = """
from database.altering import rebuild_table
def up(migrator, db):
    rebuild_table(db, "job", lambda sql: sql.replace("'cancelled')", "'cancelled', 'archived')"))
    rebuild_table(db, "track", lambda sql: sql.replace("duration REAL", "rating INTEGER, duration REAL"))
"""
ORPHANS = """
def up(migrator, db):
    db.execute_sql("DROP TRIGGER track_loops")
    db.execute_sql("DELETE FROM track")
"""
MISSING = """
from database.altering import quietly
def up(migrator, db):
    with quietly(db, "job"):
        db.execute_sql("UPDATE job SET priority = 7")
"""


@pytest.fixture
def migrate(ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrate:
    """Applies migrations of these texts, by name, after those of the program."""

    def run(**scripts: str) -> list[str]:
        names = {f"900{number}_{name}": text for number, (name, text) in enumerate(scripts.items(), 2)}
        monkeypatch.setattr(schema, "MIGRATIONS", folder_with(tmp_path, names))
        return init_database(ledger)

    return run


def test_an_added_column_is_an_event_when_it_changes(migrate: Migrate, track: Track, loop: Loop) -> None:
    before = read("SELECT count(*) FROM event")
    assert migrate(title=TITLE) == ["9002_title"] and read("SELECT count(*) FROM event") == before
    database.execute_sql("UPDATE track SET subtitle = 'Night train'")
    [newest] = Event.select().order_by(Event.event_id.desc()).limit(1)
    assert (newest.entity, newest.change) == ("track", "updated")
    changed = TrackRepository().get_by_id("track-1")
    assert changed is not None and changed.version > track.version


def test_a_column_that_responses_do_not_show_moves_the_version_alone(migrate: Migrate, track: Track) -> None:
    migrate(secret=SILENT)
    events = read("SELECT count(*) FROM event")
    database.execute_sql("UPDATE track SET secret = 'x'")
    changed = TrackRepository().get_by_id("track-1")
    assert changed is not None and changed.version > track.version and read("SELECT count(*) FROM event") == events


@pytest.mark.parametrize(("script", "reason"), [(FAILS, "no_such_column"), (BROKEN, "no such genre"), ("1/0", "zero")])
def test_a_migration_that_fails_changes_nothing(migrate: Migrate, loop: Loop, script: str, reason: str) -> None:
    before = snapshot()
    with pytest.raises(MigrationFailed, match=f"9002_wrong failed .*{reason}.*changed nothing"):
        migrate(wrong=script)
    assert snapshot() == before and schema_state()[0] == ["9002_wrong"]
    assert not database.in_transaction()


def test_the_migrations_before_a_failed_one_stay(migrate: Migrate, loop: Loop) -> None:
    with pytest.raises(MigrationFailed, match="9003_wrong"):
        migrate(title=TITLE, wrong=BROKEN.replace("subtitle", "artist"))
    assert "subtitle" in columns("track") and "artist" not in columns("track")
    assert schema_state()[0] == ["9003_wrong"]


@on_postgresql
def test_a_migration_does_not_wait_long_for_a_program_that_reads(
    migrate: Migrate, kind: str, track: Track, ledger: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.1)
    with psycopg.connect(ledger.database_url) as reader:
        reader.execute("SELECT * FROM track")
        with pytest.raises(MigrationFailed, match="9002_title has to wait for another program"):
            migrate(title=TITLE)
    assert init_database(ledger) == ["9002_title"]


def columns(table: str) -> set[str]:
    """The columns of a table."""
    return {column.name for column in database.get_columns(table)}


@on_sqlite
def test_a_rebuilt_table_keeps_its_rows_its_children_and_its_triggers(migrate: Migrate, kind: str, loop: Loop) -> None:
    tables = {table: read(f"SELECT * FROM {table}") for table in ("job", "loop", "event", "tally")}
    parts = "SELECT name, sql FROM sqlite_schema WHERE type <> 'table' ORDER BY name"
    others = read(parts)
    migrate(rebuilt=REBUILT)
    assert {table: read(f"SELECT * FROM {table}") for table in tables} == tables and read(parts) == others
    database.execute_sql("UPDATE job SET status = 'archived'")
    assert read("SELECT rating, duration, job_id FROM track") == [[None, 30.5, "job-1"]]
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        database.execute_sql("UPDATE track SET job_id = 'nobody'")
    assert JobRepository().delete("job-1") and (Track.select().count(), Loop.select().count()) == (0, 0)


@on_sqlite
def test_a_rebuilt_table_uses_no_rowid_again(migrate: Migrate, kind: str, job: Job) -> None:
    JobRepository().create(job_id="last", prompt="gone")
    JobRepository().delete("last")
    migrate(rebuilt=REBUILT)
    JobRepository().create(job_id="next", prompt="fresh rain")
    assert read("SELECT rowid FROM job ORDER BY rowid") == [[1], [3]]
    assert matching_ids("rain") == ["job-1", "next"] and matching_ids("gone") == []


@on_sqlite
def test_a_table_is_not_rebuilt_while_foreign_keys_are_on(kind: str, loop: Loop) -> None:
    with pytest.raises(ValueError, match="foreign keys are off"), database.atomic():
        rebuild_table(database.obj, "job", str)
    assert Loop.select().count() == 1 and read("PRAGMA foreign_keys") == [[1]]


@on_sqlite
def test_a_migration_that_would_leave_orphans_is_refused(migrate: Migrate, kind: str, loop: Loop) -> None:
    before = snapshot()
    with pytest.raises(MigrationFailed, match="9002_orphans failed .1 rows of loop would lose their parent"):
        migrate(orphans=ORPHANS)
    assert snapshot() == before


def test_rows_can_be_changed_without_events(migrate: Migrate, loop: Loop) -> None:
    job, events = read("SELECT updated_at FROM job"), read("SELECT count(*) FROM event")
    migrate(priority=MISSING)
    assert read("SELECT updated_at FROM job") == job and read("SELECT count(*) FROM event") == events
    assert read("SELECT priority FROM job") == [[7]]
    JobRepository().update("job-1", message="triggers are back")
    assert read("SELECT count(*) FROM event") == [[events[0][0] + 1]]
    assert JobRepository().delete("job-1") and LoopRepository().count() == 0


def test_the_schema_is_not_changed_inside_of_a_transaction(migrate: Migrate) -> None:
    with database.atomic(), pytest.raises(DatabaseUnusable, match="inside of a transaction"):
        schema.apply_migrations(schema.MIGRATIONS, schema.HISTORY, ["0001_ledger"])


def test_the_plan_names_what_would_run_and_runs_nothing(migrate: Migrate, tmp_path: Path) -> None:
    before = snapshot()
    with pytest.raises(MigrationFailed):
        migrate(wrong=f'"""Gives tracks a title."""\n{FAILS}')
    assert plan() == {"9002_wrong": "Gives tracks a title."} and snapshot() == before


def test_a_newer_schema_is_refused_untouched(ledger: Settings, loop: Loop) -> None:
    database.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    before, refused = snapshot(), (plan, lambda: init_database(ledger))
    release()
    path = ledger.sqlite_path if not is_postgresql() else None
    written = path.read_bytes() if path else b""
    for call in refused:
        with pytest.raises(SchemaTooNew, match="9999_future"):
            call()
        release()
        assert path is None or path.read_bytes() == written
    assert snapshot() == before


def test_the_steps_of_contributing_add_a_column_to_100_000_jobs(migrate: Migrate, loop: Loop) -> None:
    name, script = example()
    fill(100_000)
    rows = read("SELECT job_id, updated_at, status FROM job WHERE job_id IN ('job-1', 'many-99999')")
    events = read("SELECT count(*) FROM event")
    assert migrate(**{name: script}) == [f"9002_{name}"]
    assert read("SELECT count(*), min(rating), max(rating) FROM job") == [[100_001, 0, 0]]
    assert read("SELECT job_id, updated_at, status FROM job WHERE rating = 0 AND priority = 1") == rows[1:]
    assert read("SELECT count(*) FROM event") == events and Loop.select().count() == 1
    with pytest.raises(IntegrityError):
        database.execute_sql("UPDATE job SET rating = 6 WHERE job_id = 'job-1'")


def example() -> tuple[str, str]:
    """(the name of the migration in CONTRIBUTING.md, its text)."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    match = re.search(r"`\d{4}_(\w+)\.py`.*?```python no-run\n(.*?)```", text, re.S)
    assert match is not None
    return match[1], dedent(match[2])


def fill(number: int) -> None:
    """Insert so many jobs, many-1 and so on; the last but one has priority 1."""
    numbers = f"WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {number})"
    row = f"'many-' || n, CASE WHEN n = {number - 1} THEN 1 ELSE 0 END"
    if is_postgresql():  # nothing is searched here, and it takes most of the time
        database.execute_sql("DROP INDEX job_search")
    with database.atomic(), quietly(database.obj, "job"):
        database.execute_sql(f"INSERT INTO job (job_id, priority) {numbers} SELECT {row} FROM many")
