"""The files of a restore: replaced one by one, and no start between two of them."""

import os
import shutil
from pathlib import Path

import pytest

from database import leave, plan
from database.half_restored import marker
from errors import BackupFailed, DatabaseUnusable
from files.storage import Storage
from maintenance import postgresql_restore, stored_files
from maintenance import restore as restoring
from maintenance.backup import backup
from maintenance.manifest import Backup
from maintenance.restore import restore
from models import Job
from settings import Settings
from tests.conftest import on_sqlite
from tests.test_backup import ids, store

pytestmark = pytest.mark.usefixtures("pg_tools")


@pytest.fixture
def made(ledger: Settings, job: Job, tmp_path: Path) -> Backup:
    """A backup with a file that differs from the present one."""
    store(ledger, "a.wav", b"one")
    copy = backup(ledger, tmp_path / "copy", files=True)
    store(ledger, "a.wav", b"two")
    leave()
    return copy


def fail(*_: object, **__: object) -> None:
    """Stands for a step that cannot be done."""
    raise OSError("interrupted")


def refuse(*_: object) -> None:
    """Stands for a database that is in use."""
    raise BackupFailed("in use")


def test_no_process_starts_between_the_database_and_its_files(
    ledger: Settings, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(BackupFailed, match="interrupted"):
        patch.setattr(stored_files, "_keep", fail)
        restore(ledger, made.path)
    for start in (ids, backup, lambda _: plan()):
        with pytest.raises(DatabaseUnusable, match=f"repeat `flask restore {made.path}`"):
            start(ledger)
    restore(ledger, made.path)
    assert ids(ledger) == ["job-1"] and (Storage(ledger).root / "a.wav").read_bytes() == b"one"


def test_a_restore_that_is_refused_leaves_no_marker(
    ledger: Settings, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "_swap", refuse)
    monkeypatch.setattr(postgresql_restore, "_swap", refuse)
    with pytest.raises(BackupFailed, match="in use"):
        restore(ledger, made.path)
    assert not marker(Storage(ledger).root).exists() and ids(ledger) == ["job-1"]


@on_sqlite
def test_without_hard_links_the_file_before_is_copied(
    ledger: Settings, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", fail)
    aside = restore(ledger, made.path).files_before
    assert aside and (Path(aside) / "a.wav").read_bytes() == b"two"


@on_sqlite
def test_a_folder_in_the_place_of_a_file_is_kept_aside(ledger: Settings, made: Backup) -> None:
    place = Storage(ledger).root / "a.wav"
    place.unlink()
    place.mkdir()
    shutil.copy(made.database, place / "inside")
    aside = restore(ledger, made.path).files_before
    assert aside and (Path(aside) / "a.wav" / "inside").exists() and place.read_bytes() == b"one"


@on_sqlite
def test_one_line_names_the_links_that_a_backup_leaves_out(
    ledger: Settings, job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    song = store(ledger, "jobs/x/a.wav", b"one")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "b.wav").write_bytes(b"two")
    (Storage(ledger).root / "tracks").symlink_to(tmp_path / "disk")
    song.with_name("c.wav").symlink_to(tmp_path / "disk" / "b.wav")
    made = backup(ledger, tmp_path / "copy", files=True)
    [warning] = caplog.messages
    assert warning.startswith("links are not followed") and "output/tracks" in warning and "x/c.wav" in warning
    assert made.manifest and [file.path for file in made.manifest.files or []] == ["jobs/x/a.wav"]


@on_sqlite
def test_a_marker_that_cannot_be_read_stops_a_start_too(ledger: Settings) -> None:
    leave()
    marker(Storage(ledger).root).mkdir(parents=True)
    with pytest.raises(DatabaseUnusable, match="repeat `flask restore SRC`"):
        ids(ledger)


@on_sqlite
def test_a_script_that_cannot_see_the_storage_folder_uses_the_database(ledger: Settings, job: Job) -> None:
    leave()
    Storage(ledger).root.write_text("a file, so that no marker can be in it")
    assert ids(ledger) == ["job-1"]
