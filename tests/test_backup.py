"""Backup and restore: what a backup has, what is refused, and what a restore puts in place."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cysqlite
import psutil
import pytest

from database import available_migrations, database, init_database, leave
from database.in_use import exclusive
from errors import BackupFailed, DatabaseUnusable, SchemaTooNew
from files.storage import Storage, noted
from maintenance import stored_files, workplace
from maintenance.backup import backup
from maintenance.manifest import manifest_beside
from maintenance.restore import restore
from models import Job
from repos import JobRepository
from settings import Settings
from tests.conftest import on_postgresql, on_sqlite
from tests.service import ROOT, UNMEASURED, Server, clean_environment
from tests.test_commands import flask

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("pg_tools")


def ids(settings: Settings) -> list[str]:
    """The ids of all jobs, read from the database that is there now."""
    init_database(settings)
    names = sorted(job.job_id for job in Job.select())
    leave()
    return names


def store(settings: Settings, name: str, content: bytes) -> Path:
    """Write a file in the storage folder."""
    path = Storage(settings).root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_restored_backup_has_what_the_database_had(ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy")
    jobs.create(job_id="later", prompt="x")
    outcome = restore(ledger, made.path)
    assert ids(ledger) == ["job-1"]
    assert outcome.database_before and "before" in outcome.database_before


def test_the_manifest_says_what_the_backup_has(ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy")
    manifest = json.loads(manifest_beside(made.path).read_text())
    assert manifest["counts"] == {"jobs": 1, "tracks": 0, "loops": 0, "events": 1}
    assert manifest["migrations"] == available_migrations() and manifest["files"] is None
    assert len(manifest["sha256"]) == 64 and manifest["size"] == made.path.stat().st_size


@on_sqlite
def test_a_backup_with_files_restores_them(ledger: Settings, track: Job, tmp_path: Path) -> None:
    song = store(ledger, "tracks/track-1/a.wav", b"one")
    store(ledger, ".derived/x.mp3", b"cache")
    made = backup(ledger, tmp_path / "copy", files=True)
    shutil.rmtree(Storage(ledger).root)
    noted.clear()  # as in another process
    assert restore(ledger, made.path).files == 1
    assert song.read_bytes() == b"one" and not (made.path / "files" / ".derived").exists()


@on_sqlite
def test_a_file_that_differs_is_kept_aside(ledger: Settings, job: Job, tmp_path: Path) -> None:
    song, same = store(ledger, "a.wav", b"one"), store(ledger, "same.wav", b"same")
    made = backup(ledger, tmp_path / "copy", files=True)
    song.write_bytes(b"two")
    before = same.stat().st_ino
    aside = restore(ledger, made.path).files_before
    assert aside and (Path(aside) / "a.wav").read_bytes() == b"two"
    assert song.read_bytes() == b"one" and same.stat().st_ino == before


@on_sqlite
@pytest.mark.parametrize("name", ["copy", "copy.json"])
def test_an_existing_file_is_not_overwritten(name: str, ledger: Settings, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(BackupFailed, match=f"{name} exists already"):
        backup(ledger, tmp_path / "copy")
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.glob("copy*"))) == 1


@on_sqlite
def test_a_file_that_cannot_be_read_fails_the_backup(
    ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(ledger, "a.wav", b"one")
    monkeypatch.setattr(stored_files, "open_file", lambda path: None)
    with pytest.raises(BackupFailed, match="a.wav cannot be read"):
        backup(ledger, tmp_path / "copies" / "one", files=True)
    assert list((tmp_path / "copies").iterdir()) == []


@on_sqlite
def test_a_file_that_is_deleted_meanwhile_is_no_failure(
    ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = store(ledger, "a.wav", b"one")
    monkeypatch.setattr(stored_files, "require_room", lambda *_: gone.unlink())
    assert backup(ledger, tmp_path / "copy", files=True).manifest.files == []  # type: ignore[union-attr]


@on_sqlite
def test_the_database_before_can_be_restored_again(ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy")
    jobs.create(job_id="later", prompt="x")
    before = restore(ledger, made.path).database_before
    assert before is not None
    restore(ledger, Path(before))
    assert ids(ledger) == ["job-1", "later"]


def test_a_damaged_backup_is_refused(ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy")
    content = bytearray(made.path.read_bytes())
    content[len(content) // 2] ^= 1
    made.path.write_bytes(content)
    with pytest.raises(BackupFailed, match="damaged"):
        restore(ledger, made.path)
    assert ids(ledger) == ["job-1"]


@on_sqlite
def test_a_backup_whose_content_is_not_that_of_the_manifest_is_refused(
    ledger: Settings, job: Job, tmp_path: Path
) -> None:
    made, other = backup(ledger, tmp_path / "copy"), tmp_path / "copy.json"
    other.write_text(other.read_text().replace('"jobs":1', '"jobs":2').replace('"jobs": 1', '"jobs": 2'))
    with pytest.raises(BackupFailed, match="does not match its manifest"):
        restore(ledger, made.path)
    assert ids(ledger) == ["job-1"]


@on_sqlite
def test_a_backup_of_a_newer_version_is_refused(ledger: Settings, job: Job, tmp_path: Path) -> None:
    database.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    made = backup(ledger, tmp_path / "copy")
    assert made.manifest and made.manifest.migrations[-1] == "9999_future"
    database.execute_sql("DELETE FROM schema_migration WHERE name = '9999_future'")
    with pytest.raises(SchemaTooNew, match="9999_future"):
        restore(ledger, made.path)
    assert ids(ledger) == ["job-1"]


@on_sqlite
def test_a_plain_sqlite_file_can_be_restored(ledger: Settings, job: Job, tmp_path: Path) -> None:
    database.execute_sql("VACUUM INTO ?", (str(tmp_path / "plain"),))
    jobs.delete("job-1")
    restore(ledger, tmp_path / "plain")
    assert ids(ledger) == ["job-1"]


@on_sqlite
@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_file_that_is_no_database_is_refused(content: bytes, ledger: Settings, job: Job, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(BackupFailed):
        restore(ledger, tmp_path / "copy")
    assert ids(ledger) == ["job-1"] and not list(tmp_path.glob("app.db.rest*"))


@on_sqlite
@pytest.mark.parametrize("name", ["../x", "/x", ".parts/x", "a/../b", "a//b", ""])
def test_a_manifest_cannot_name_files_outside(name: str, ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy", files=True)
    content = json.loads((made.path / "manifest.json").read_text())
    content["files"] = [{"path": name, "size": 1, "sha256": "x"}]
    (made.path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BackupFailed, match="manifest .* is damaged"):
        restore(ledger, made.path)


@on_sqlite
def test_a_link_in_the_storage_folder_is_not_followed(ledger: Settings, job: Job, tmp_path: Path) -> None:
    store(ledger, "tracks/t/a.wav", b"one")
    made = backup(ledger, tmp_path / "copy", files=True)
    shutil.rmtree(Storage(ledger).root / "tracks")
    (tmp_path / "outside").mkdir()
    (Storage(ledger).root / "tracks").symlink_to(tmp_path / "outside")
    with pytest.raises(BackupFailed, match="behind a link"):
        restore(ledger, made.path)
    assert ids(ledger) == ["job-1"] and not list((tmp_path / "outside").iterdir())


@on_sqlite
def test_a_damaged_database_is_kept_with_its_log(ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy")
    leave()
    (tmp_path / "app.db").write_bytes(b"x" * 5000)
    (tmp_path / "app.db-wal").write_bytes(b"stale")
    before = restore(ledger, made.path).database_before
    assert before and Path(before).read_bytes() == b"x" * 5000 and Path(f"{before}-wal").read_bytes() == b"stale"
    assert ids(ledger) == ["job-1"]


def test_a_backup_of_the_other_kind_is_refused(
    kind: str, ledger: Settings, job: Job, tmp_path: Path, template: Path
) -> None:
    source = template if kind == "postgresql" else tmp_path / "dump"
    (tmp_path / "dump").write_bytes(b"PGDMP")
    with pytest.raises(BackupFailed, match="of the kind"):
        restore(ledger, source)


def test_a_restore_is_refused_while_a_server_runs(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server().start()
    assert str(tmp_path / "app.db.lock") in {file.path for file in psutil.Process(running.process.pid).open_files()}
    made = flask(tmp_path, "backup", "copy", DB_PATH="app.db")
    refused = flask(tmp_path, "restore", "copy", DB_PATH="app.db")
    assert made.returncode == 0, made.stderr
    assert (refused.returncode, refused.stdout) == (1, "") and "is in use: stop the service" in refused.stderr
    running.stop()
    assert flask(tmp_path, "restore", "copy", "--json", DB_PATH="app.db").returncode == 0


@on_sqlite
def test_a_restore_is_refused_while_another_program_has_the_file_open(
    ledger: Settings, job: Job, tmp_path: Path
) -> None:
    made = backup(ledger, tmp_path / "copy")
    other = cysqlite.Connection(str(tmp_path / "app.db"))
    other.execute("SELECT count(*) FROM job").fetchall()
    with pytest.raises(BackupFailed, match="Another program has"):
        restore(ledger, made.path)
    other.close()
    restore(ledger, made.path)


@on_postgresql
def test_a_restore_is_refused_while_others_are_connected(ledger: Settings, job: Job, tmp_path: Path) -> None:
    import psycopg

    made = backup(ledger, tmp_path / "copy")
    with psycopg.connect(ledger.database_url), pytest.raises(BackupFailed, match="is in use"):
        restore(ledger, made.path)
    assert ids(ledger) == ["job-1"]


@on_sqlite
def test_no_process_opens_the_database_while_it_is_restored(
    ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave()
    monkeypatch.setattr("database.in_use.WAIT_SECONDS", 0.0)
    with exclusive(tmp_path / "app.db"), pytest.raises(DatabaseUnusable, match="is being restored"):
        init_database(ledger)
    init_database(ledger)


@on_sqlite
def test_a_backup_without_room_ends_with_one_line_and_leaves_nothing(
    ledger: Settings, job: Job, tmp_path: Path
) -> None:
    leave()
    script = "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    script += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); import sys; from flask.cli import main; main()"
    command = [sys.executable, "-c", script, "--app", str(ROOT / "app.py"), "backup", "copies/one"]
    env = clean_environment(DB_PATH="app.db", **UNMEASURED)  # coverage could not write its file either
    ended = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=60)
    assert ended.returncode == 1 and ended.stderr.splitlines()[-1].startswith("The database"), ended.stderr
    assert list((tmp_path / "copies").iterdir()) == []


@on_sqlite
def test_a_full_disk_is_noticed_before_the_copy(
    ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(BackupFailed, match="is too full: 0 MB are free"):
        backup(ledger, tmp_path / "copies" / "one")
    assert list((tmp_path / "copies").iterdir()) == []


@on_sqlite
def test_the_storage_folder_is_no_place_for_backups(ledger: Settings, job: Job) -> None:
    with pytest.raises(BackupFailed, match="is in STORAGE_DIR"):
        backup(ledger, ledger.storage_dir / "copy")


def test_without_pg_dump_a_sentence_says_what_to_install(
    kind: str, ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "sqlite":
        pytest.skip("SQLite needs no program")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed, match="pg_dump is not on PATH: install"):
        backup(ledger, tmp_path / "copy")


@on_sqlite
def test_a_backup_with_a_damaged_file_changes_nothing(ledger: Settings, job: Job, tmp_path: Path) -> None:
    song = store(ledger, "a.wav", b"one")
    made = backup(ledger, tmp_path / "copy", files=True)
    song.unlink()
    (made.path / "files" / "a.wav").write_bytes(b"two")
    jobs.create(job_id="later", prompt="x")
    with pytest.raises(BackupFailed, match="a.wav is missing or damaged"):
        restore(ledger, made.path)
    assert ids(ledger) == ["job-1", "later"] and not song.exists()


@on_sqlite
def test_a_file_that_cannot_be_replaced_is_named_with_the_database_before(
    ledger: Settings, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no right")

    song = store(ledger, "a.wav", b"one")
    made = backup(ledger, tmp_path / "copy", files=True)
    song.write_bytes(b"two")
    monkeypatch.setattr(stored_files.StoredFiles, "replace_others", fail)
    with pytest.raises(BackupFailed, match="the previous one is .*before-restore.*no right"):
        restore(ledger, made.path)
    assert song.read_bytes() == b"two"
