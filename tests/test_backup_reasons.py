"""What stops a backup, and what it says; other schemas in PostgreSQL; pg_dump ends with its command."""

import os
from pathlib import Path

import cysqlite
import psutil
import pytest

from database import database, leave, plan
from errors import BackupFailed
from maintenance.backup import backup
from maintenance.restore import restore
from models import Job, Track
from settings import Settings
from tests.conftest import on_postgresql, on_sqlite, wait_for
from tests.killing import start
from tests.test_backup import ids

pytestmark = pytest.mark.usefixtures("pg_tools")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path for a program that runs instead of pg_dump."""
    path = tmp_path / "bin" / "pg_dump"
    path.parent.mkdir()
    path.touch(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return path


@on_postgresql
@pytest.mark.parametrize("schema", ["other", "Odd. schema"])
def test_tables_of_the_same_name_in_another_schema_are_copied_too(
    schema: str, ledger: Settings, job: Job, tmp_path: Path
) -> None:
    database.execute_sql(f'CREATE SCHEMA "{schema}"')
    for table in ("job", "schema_migration"):
        database.execute_sql(f"""CREATE TABLE "{schema}".{table} AS SELECT '0009_x' AS name""")
    leave()
    made = backup(ledger, tmp_path / "copy")
    assert made.manifest and made.manifest.counts["jobs"] == 1
    restore(ledger, made.path)
    assert ids(ledger) == ["job-1"]
    assert database.execute_sql(f'SELECT count(*) FROM "{schema}".job').fetchall() == [(1,)]


@on_postgresql
def test_pg_dump_ends_with_the_command(ledger: Settings, job: Job, tmp_path: Path, program: Path) -> None:
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.part && mv {tmp_path}/pid.part {tmp_path}/pid\nexec sleep 99"
    )
    command = start(ledger, tmp_path, "backup", "copy")
    wait_for((tmp_path / "pid").exists, 30)
    command.kill()
    command.communicate(timeout=20)
    wait_for(lambda: not psutil.pid_exists(int((tmp_path / "pid").read_text())), 30)


@on_postgresql
def test_the_line_with_the_error_is_the_reason(ledger: Settings, job: Job, tmp_path: Path, program: Path) -> None:
    program.write_text(
        "#!/bin/sh\necho 'pg_dump: last built-in OID is 1' >&2\necho 'pg_dump: error: no right' >&2\n"
        "echo 'pg_dump: detail: Query was: LOCK' >&2\nexit 1\n"
    )
    with pytest.raises(BackupFailed, match=r"pg_dump has failed \(pg_dump: error: no right\): correct this"):
        backup(ledger, tmp_path / "copy")


@on_sqlite
def test_a_fault_of_the_database_is_not_that_of_a_backup(ledger: Settings, track: Track, tmp_path: Path) -> None:
    other = cysqlite.Connection(str(ledger.sqlite_path))
    other.execute("PRAGMA foreign_keys = OFF")
    other.execute("DROP TRIGGER job_tracks")
    other.execute("DELETE FROM job")
    other.close()
    with pytest.raises(BackupFailed, match="The database has a fault .rows without their parents.*flask check"):
        backup(ledger, tmp_path / "copy")


@on_sqlite
def test_a_first_restore_that_was_killed_is_finished_first(ledger: Settings, job: Job, tmp_path: Path) -> None:
    leave()
    os.rename(ledger.sqlite_path, f"{ledger.sqlite_path}.restored")
    assert plan() == {}
    leave()
    os.rename(ledger.sqlite_path, f"{ledger.sqlite_path}.restored")
    assert backup(ledger, tmp_path / "copy").is_good()
    assert ids(ledger) == ["job-1"]
