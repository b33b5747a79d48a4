"""Backup and restore in unusual places: links, logs beside a backup, wrong manifests, two commands at once."""

import fcntl
import json
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import cysqlite
import pytest

from errors import BackupFailed
from maintenance import backup as backups
from maintenance import restore as restoring
from maintenance.backup import backup, backup_warning, good_backups, is_due
from maintenance.manifest import manifest_beside
from maintenance.restore import restore
from models import Job
from settings import Settings
from tests.conftest import on_sqlite

pytestmark = pytest.mark.usefixtures("pg_tools")


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@on_sqlite
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_link_to_a_database_with_a_log_is_refused(suffix: str, ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copies" / "copy")
    Path(f"{made.path}{suffix}").write_bytes(b"changes")
    (tmp_path / "current.db").symlink_to(made.path)
    with pytest.raises(BackupFailed, match=f"copy{suffix} beside .*copies/copy has changes"):
        restore(ledger, tmp_path / "current.db")


@on_sqlite
@pytest.mark.parametrize("mode", ["PERSIST", "TRUNCATE"])
def test_a_finished_journal_beside_a_backup_does_no_harm(mode: str, ledger: Settings, job: Job, tmp_path: Path) -> None:
    made = backup(ledger, tmp_path / "copy")
    manifest_beside(made.path).unlink()
    other = cysqlite.Connection(str(made.path))
    other.execute(f"PRAGMA journal_mode = {mode}").fetchall()
    other.execute("UPDATE job SET prompt = 'changed'")
    other.close()
    assert (tmp_path / "copy-journal").exists()
    restore(ledger, made.path)


def test_a_manifest_whose_time_has_no_zone_is_damaged(ledger: Settings, job: Job, tmp_path: Path) -> None:
    regular = ledger.model_copy(update={"backup_dir": tmp_path / "backups"})
    beside = manifest_beside(backup(regular).path)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"made_at": "2026-11-26T10:00:00"}))
    assert list(good_backups(regular)) == [] and is_due(regular)
    assert (backup_warning(regular) or "").startswith("There is no backup yet")


def test_others_can_read_no_backup_if_they_cannot_read_the_database(
    kind: str, ledger: Settings, job: Job, tmp_path: Path
) -> None:
    if kind == "sqlite":
        ledger.sqlite_path.chmod(0o600)
    made, folder = backup(ledger, tmp_path / "copy"), backup(ledger, tmp_path / "folder", files=True)
    assert [mode(path) for path in (made.path, manifest_beside(made.path))] == [0o600, 0o600]
    assert mode(folder.path) == 0o700 and mode(folder.database) == 0o600


@on_sqlite
def test_a_group_that_can_read_the_database_can_read_its_backups(ledger: Settings, job: Job, tmp_path: Path) -> None:
    ledger.sqlite_path.chmod(0o640)
    assert mode(backup(ledger, tmp_path / "copy").path) == 0o640


@on_sqlite
def test_others_can_never_read_a_copy_that_is_being_restored(
    ledger: Settings, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, modes = backup(ledger, tmp_path / "copy"), []
    monkeypatch.setattr(restoring, "_give_owner", lambda _, copy: modes.append(mode(copy)))
    restore(ledger, made.path)
    assert modes == [0o600]


@on_sqlite
def test_backups_that_end_at_the_same_moment_get_different_names(
    ledger: Settings, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "utc_now", lambda: datetime(2026, 11, 26, tzinfo=UTC))
    regular = ledger.model_copy(update={"backup_dir": tmp_path / "backups"})
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(backup, [regular] * 3))
    assert len({one.path for one in made}) == 3
    assert sorted(one.path for one in good_backups(regular)) == sorted(one.path for one in made)


@on_sqlite
def test_a_backup_whose_new_folder_is_removed_before_it_is_locked_makes_another(
    ledger: Settings, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, list[str]()

    def removed_at_first(**names: Any) -> str:
        made.append(make(**names))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", removed_at_first)
    assert backup(ledger, tmp_path / "copy").is_good() and len(made) == 2


@on_sqlite
def test_of_two_backups_with_one_name_one_is_good_and_one_is_refused(
    ledger: Settings, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, check = Barrier(2), backups._check
    monkeypatch.setattr(backups, "_check", lambda *checked: (check(*checked), both.wait(20)))
    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(backup, ledger, tmp_path / "copy") for _ in range(2)]
        errors = [str(one.exception()) for one in outcomes if one.exception()]
    assert len(errors) == 1 and "copy exists already" in errors[0]
    restore(ledger, tmp_path / "copy")


@on_sqlite
def test_no_two_backups_in_a_folder_get_their_names_at_the_same_time(
    ledger: Settings, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, refused = backups.publish_new, []

    def look(work: Path, final: Path) -> None:
        handle = os.open(final.parent, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        refused.append(final)
        publish(work, final)

    monkeypatch.setattr(backups, "publish_new", look)
    backup(ledger, tmp_path / "copy")
    assert len(refused) == 2
