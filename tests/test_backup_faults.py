"""Backup and restore in unusual places: links, logs beside a backup, wrong manifests, two commands at once."""

import json
import stat
from pathlib import Path

import cysqlite
import pytest

from errors import BackupFailed
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
