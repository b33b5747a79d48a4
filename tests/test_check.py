"""flask check: finds planted faults and names them, and finds none in a healthy service."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import cysqlite
import pytest
from flask import Flask

from database import bind, bound_settings, database, is_postgresql
from errors import DatabaseUnusable
from files.storage import Storage
from maintenance import check as checking
from maintenance.archive import ledger as ledger_part
from maintenance.archive import notes
from maintenance.archive.moves import archive
from maintenance.check import check, fix
from maintenance.checks.faults import Place
from maintenance.checks.files import NEARLY_FULL_BYTES, QUARANTINE, unnamed_file
from maintenance.checks.fresh import differences
from models import Job, utc_now
from records.indexing import index_batch
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.archives import everyone, execute, ids, make_job, stored
from tests.conftest import matching_ids, on_postgresql, on_sqlite
from tests.test_archive_killed import kill_at, run_until_killed
from tests.test_commands import flask

jobs, tracks = JobRepository(), TrackRepository()


class Healthy(NamedTuple):
    """A ledger without a fault."""

    storage: Storage
    folder: Path


@pytest.fixture
def healthy(ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Healthy:
    """Two finished jobs with their files, a job in an archive without files, and work on its way."""
    monkeypatch.setattr(checking, "RECHECK_SECONDS", 0)
    storage = Storage(ledger)
    storage.root.mkdir(exist_ok=True)
    make_job(storage, "old")
    archive(tmp_path / "archive.db", everyone())
    for name in ("a", "b"):
        make_job(storage, name)
    jobs.create(job_id="c", prompt="c")
    assert jobs.claim("w") is not None
    if not is_postgresql():
        index_batch()
    storage.part().write_bytes(b"unfinished")
    published = storage.folder("job", "c") / "cccccccccccc" / "s.wav"  # the worker is about to name it
    published.parent.mkdir(parents=True)
    published.write_bytes(b"new")
    tracks.create(track_id="elsewhere", job_id="a", file_path_wav="/mnt/songs/s.wav", file_path_mp3="song://x")
    return Healthy(storage, tmp_path)


def found(name: str) -> list[str]:
    """What the faults with this name are about."""
    return [fault.about for fault in check() if fault.name == name]


def test_a_healthy_ledger_has_no_fault(healthy: Healthy) -> None:
    assert check() == []


def no_foreign_keys(*statements: str) -> None:
    """Run statements as a program does that keeps no rules."""
    if is_postgresql():
        database.execute_sql("SET session_replication_role = replica")
    else:
        database.execute_sql("PRAGMA foreign_keys = 0")
    for statement in statements:
        execute(statement)
    database.close()


def drop_trigger(name: str, table: str) -> None:
    execute(f"DROP TRIGGER {name} ON {table}" if is_postgresql() else f"DROP TRIGGER {name}")


def make_old(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (0, 0))


def kill_a_move(storage: Storage, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        kill_at(patched, ledger_part, "take_out", is_after=True)
        run_until_killed(lambda: archive(folder / "archive.db", everyone()))


def restore_an_old_backup(storage: Storage, folder: Path) -> None:
    jobs.create(job_id="old", prompt="from a backup")


FAULTS: list[tuple[str, Callable[[Storage, Path], object], str]] = [
    ("wrong_trigger", lambda *_: drop_trigger("track_touched", "track"), "track_touched"),
    ("wrong_index", lambda *_: execute("DROP INDEX job_lease"), "job_lease"),
    ("wrong_schema", lambda *_: execute("ALTER TABLE track ADD COLUMN mood TEXT"), "column track.mood"),
    ("wrong_schema", lambda *_: execute("ALTER TABLE delivery DROP COLUMN attempts"), "column delivery.attempts"),
    ("wrong_tally", lambda *_: execute("UPDATE tally SET number = number + 7 WHERE entity = 'track'"), "track"),
    ("missing_file", lambda storage, _: (storage.root / "jobs/a/aaaaaaaaaaaa/s.wav").unlink(),
     "track a-t: jobs/a/aaaaaaaaaaaa/s.wav"),
    ("missing_file", lambda storage, _: shutil.rmtree(storage.root / "loops/b-l"),
     "loop b-l: loops/b-l/bbbbbbbbbbbb/l.mp3"),
    ("unnamed_file", lambda storage, _: make_old(storage.root / "jobs/gone/x.wav"), "jobs/gone/x.wav"),
    ("unnamed_file", lambda storage, _: make_old(storage.root / os.fsdecode(b"a\xff.wav")), "a\\xff.wav"),
    ("old_part", lambda storage, _: make_old(storage.root / ".parts/half"), ".parts/half"),
    ("stuck_lease", lambda *_: Job.update(lease_expires_at=utc_now() - timedelta(hours=1)).where(
        Job.job_id == "c").execute(), "job c"),
    ("unfinished_move", kill_a_move, "archive.db"),
    ("job_in_both", restore_an_old_backup, "job old"),
    ("missing_archive", lambda _, folder: (folder / "archive.db").unlink(), "archive.db"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "plant", "about"), FAULTS, ids=[f"{name}-{about}" for name, _, about in FAULTS])
def test_a_planted_fault_is_named(
    healthy: Healthy, name: str, plant: Callable[[Storage, Path], object], about: str
) -> None:
    plant(healthy.storage, healthy.folder)
    faults = check()
    assert [fault.name for fault in faults if about in fault.about] == [name] and faults[0].advice
    assert {fault.name for fault in faults} <= {name, "wrong_table", "wrong_constraint"}


def test_a_record_without_its_parent_is_a_fault(healthy: Healthy) -> None:
    if is_postgresql():
        no_foreign_keys("DELETE FROM job WHERE job_id = 'b'")
    else:
        no_foreign_keys("DROP TRIGGER job_tracks", "DELETE FROM job WHERE job_id = 'b'")
    assert found("missing_parent") == ["track b-t"]


@on_sqlite
def test_a_damaged_file_is_a_fault(healthy: Healthy, ledger: Settings) -> None:
    (page,) = database.execute_sql("SELECT rootpage FROM sqlite_master WHERE name = 'job_created_at'").fetchone()
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with ledger.sqlite_path.open("r+b") as file:
        file.seek((page - 1) * 4096 + 4000)
        file.write(b"\xff" * 90)
    assert found("damaged_database")


@on_sqlite
def test_a_file_that_is_no_database_is_a_fault(ledger: Settings, tmp_path: Path) -> None:
    env = {"DB_PATH": str(tmp_path / "none.db"), "STORAGE_DIR": str(tmp_path / "output")}
    (tmp_path / "none.db").write_text("this is no database" * 100)
    done = flask(tmp_path, "check", "--json", **env)
    assert done.returncode == 1 and [fault["fault"] for fault in json.loads(done.stdout)["faults"]] == [
        "unusable_database"
    ]


@on_sqlite
def test_a_job_that_is_missing_in_the_search_index_is_a_fault(healthy: Healthy) -> None:
    execute("DELETE FROM job_search WHERE rowid = (SELECT rowid FROM job WHERE job_id = 'a')")
    assert matching_ids("雨") == ["b"] and found("incomplete_search") == ["job a"]
    fix(check())
    assert check() == [] and matching_ids("雨") == ["a", "b"]


@on_sqlite
def test_a_disk_that_is_nearly_full_is_a_fault(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(healthy.folder)._replace(free=NEARLY_FULL_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert found("disk_nearly_full") == ["STORAGE_DIR", "DB_PATH"]


def test_fix_repairs_what_it_can_and_deletes_nothing(healthy: Healthy) -> None:
    for name, plant, _ in FAULTS:
        if name in ("wrong_tally", "unnamed_file", "old_part", "stuck_lease"):
            plant(*healthy)
    files = stored(healthy.storage.root)
    assert len(fix(check())) == 5 and jobs.get_by_id("c").status == "pending"
    assert found("unnamed_file") == ["jobs/c/cccccccccccc/s.wav"] and fix(check()) and check() == []
    moved = stored(healthy.storage.root / QUARANTINE)
    assert {**stored(healthy.storage.root), **{name: moved[name] for name in moved if name in files}} == files


def test_fix_finishes_a_move(healthy: Healthy) -> None:
    kill_a_move(*healthy)
    assert [fault.name for fault in fix(check())] == ["unfinished_move"]
    assert check() == [] and ids(healthy.folder / "archive.db") == {"old", "a", "b"}


def test_a_file_that_is_named_by_now_stays(healthy: Healthy) -> None:
    make_old(healthy.storage.root / "new.wav")
    faults = check()
    tracks.create(track_id="new", job_id="a", file_path_wav="new.wav")
    assert fix(faults) == [] and (healthy.storage.root / "new.wav").exists() and check() == []


def test_what_only_the_first_look_finds_is_no_fault(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old(healthy.storage.root / "going.wav")
    monkeypatch.setattr("time.sleep", lambda _: (healthy.storage.root / "going.wav").unlink())
    assert check() == []


@on_sqlite
def test_a_missing_backup_is_a_fault(healthy: Healthy, ledger: Settings) -> None:
    bind(ledger.model_copy(update={"backup_dir": healthy.folder / "backups"}))
    assert [fault.name for fault in check()] == ["old_backup"]


@on_sqlite
def test_a_running_move_is_no_fault(healthy: Healthy) -> None:
    kill_a_move(*healthy)
    with notes.only_mover(healthy.storage):
        assert found("unfinished_move") == []


@on_sqlite
def test_a_check_that_cannot_read_is_a_fault(healthy: Healthy) -> None:
    execute("DROP TABLE tally")
    assert "wrong_tally" in found("unreadable") and "tally" in found("wrong_table")


@on_sqlite
def test_the_command_says_what_is_wrong_and_ends_with_1(healthy: Healthy, app: Flask) -> None:
    run = app.test_cli_runner()
    done = run.invoke(args=["check"])
    assert (done.exit_code, done.stdout) == (0, "no fault\n")
    make_old(healthy.storage.root / "x.wav")
    done = run.invoke(args=["check", "--json"])
    assert done.exit_code == 1 and json.loads(done.stdout)["faults"][0]["about"] == "x.wav"
    assert run.invoke(args=["check", "--fix"]).exit_code == 0
    assert "Example" in run.invoke(args=["check", "--help"]).output


@on_sqlite
def test_faults_beyond_the_limit_are_not_forgotten(
    healthy: Healthy, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST", 1)
    for name in ("x.wav", "y.wav"):
        make_old(healthy.storage.root / name)
    run = app.test_cli_runner()
    done = run.invoke(args=["check", "--fix"])
    assert done.exit_code == 1 and "more_faults\tunnamed_file\tthere are more than 1" in done.stdout
    assert run.invoke(args=["check", "--fix"]).exit_code == 0 and check() == []


@on_sqlite
def test_a_repair_that_fails_is_not_called_one(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_a_move(*healthy)
    faults = check()
    with monkeypatch.context() as patched:
        patched.setattr("maintenance.archive.database.BUSY_SECONDS", 0)
        with closing(cysqlite.Connection(str(healthy.folder / "archive.db"))) as other:
            other.execute("BEGIN IMMEDIATE").fetchall()
            assert fix(faults) == []
            other.execute("ROLLBACK").fetchall()
    assert fix(faults) == faults and check() == []


@on_sqlite
def test_fix_finishes_a_move_whose_mark_is_lost(healthy: Healthy) -> None:
    kill_a_move(*healthy)
    for mark in (healthy.storage.root / ".archives").glob("*.moving"):
        mark.unlink()
    assert [fault.name for fault in fix(check())] == ["unfinished_move"] and check() == []


@on_sqlite
def test_an_archive_that_is_away_keeps_no_other_move_unfinished(healthy: Healthy) -> None:
    kill_a_move(*healthy)
    (healthy.folder / "archive.db").rename(healthy.folder / "away.db")
    make_job(healthy.storage, "d")
    with pytest.MonkeyPatch.context() as patched:
        kill_at(patched, ledger_part, "take_out", is_after=True)
        run_until_killed(lambda: archive(healthy.folder / "other.db", everyone()))
    faults = {fault.name: fault for fault in check()}
    assert "move it back: a process was killed" in faults["missing_archive"].advice
    assert fix(list(faults.values())) == [faults["unfinished_move"]] and ids(healthy.folder / "other.db") == {"d"}


@on_sqlite
def test_the_checks_of_archives_keep_no_move_waiting(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "only_mover", lambda *_: pytest.fail("a move that begins now would be refused"))
    assert check() == []


@on_sqlite
def test_a_file_with_a_name_that_is_in_quarantine_gets_another(healthy: Healthy) -> None:
    for _ in range(3):
        make_old(healthy.storage.root / "x.wav")
        assert len(fix(check())) == 1
    assert set(stored(healthy.storage.root / QUARANTINE)) == {"x.wav", "x.wav.1", "x.wav.2"}


def test_a_page_of_files_needs_few_statements(healthy: Healthy, statements: list[str]) -> None:
    for number in range(30):
        make_job(healthy.storage, f"n{number}")
    statements.clear()
    assert list(unnamed_file(Place(bound_settings(), healthy.storage))) == [] and len(statements) <= 10


@on_postgresql
def test_a_role_that_may_not_create_a_schema_learns_what_to_grant(healthy: Healthy) -> None:
    execute("SET ROLE pg_monitor")
    with pytest.raises(DatabaseUnusable, match='GRANT CREATE ON DATABASE "t.*" TO "pg_monitor"'):
        list(differences())
    execute("RESET ROLE")
