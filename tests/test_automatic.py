"""Automatic backups: when one is made, which are kept, and what the service says about them."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from database import release
from maintenance import automatic
from maintenance.automatic import Automatic
from maintenance.backup import backup, good_backups, is_due, newest_backup_age, remove_surplus
from maintenance.manifest import Backup, manifest_beside
from models import Job, utc_now
from settings import Settings
from tests.conftest import on_sqlite, wait_for
from tests.service import Server

pytestmark = [pytest.mark.measured, pytest.mark.usefixtures("pg_tools")]


@pytest.fixture
def regular(ledger: Settings, job: Job, tmp_path: Path) -> Settings:
    """Settings with a folder for backups, of which two are kept."""
    return ledger.model_copy(update={"backup_dir": tmp_path / "backups", "backup_keep": 2})


def age(made: Backup, hours: float) -> Path:
    """Make a backup older: its manifest, and its name. Returns its new path."""
    assert made.manifest is not None
    moment = utc_now() - timedelta(hours=hours)
    path = made.path.with_name(f"ledger-{moment:%Y%m%dT%H%M%SZ}{made.path.suffix}")
    manifest_beside(made.path).unlink()
    made.path.rename(path)
    made.manifest.model_copy(update={"made_at": moment}).write(manifest_beside(path))
    return path


def aged(settings: Settings, *hours: float) -> list[Path]:
    """Make a backup for each of these ages."""
    return [age(backup(settings), number) for number in hours]


def test_the_newest_good_backup_gives_the_age(regular: Settings) -> None:
    assert newest_backup_age(regular) is None and is_due(regular)
    old, young = aged(regular, 30, 3)
    assert 3 * 3600 <= (newest_backup_age(regular) or 0) < 3.1 * 3600 and not is_due(regular)
    young.write_bytes(young.read_bytes()[:-1])
    assert 30 * 3600 <= (newest_backup_age(regular) or 0) < 30.1 * 3600 and is_due(regular)


@on_sqlite
def test_the_oldest_good_backups_are_deleted(regular: Settings) -> None:
    first, second, third, damaged = aged(regular, 50, 40, 30, 20)
    mine = backup(regular, first.with_name("mine.db")).path
    damaged.write_bytes(b"")
    remove_surplus(regular)
    assert not first.exists() and not manifest_beside(first).exists()
    assert all(path.exists() for path in (second, third, damaged, mine))


@on_sqlite
def test_a_backup_from_the_future_is_deleted_first(regular: Settings) -> None:
    future, *others = aged(regular, -1000, 2, 1)
    assert (newest_backup_age(regular) or 0) > 3000
    remove_surplus(regular)
    assert not future.exists() and all(path.exists() for path in others)


@on_sqlite
def test_a_lone_manifest_of_a_killed_backup_is_removed(regular: Settings) -> None:
    [killed] = aged(regular, 30)
    killed.unlink()
    os.utime(manifest_beside(killed), (0, 0))
    made = backup(regular)
    assert not manifest_beside(killed).exists() and made.is_good()


@on_sqlite
def test_a_backup_that_fails_is_tried_later(
    regular: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert regular.backup_dir is not None
    regular.backup_dir.write_text("a file is in the way")
    thread = Automatic(regular, regular.backup_dir)
    thread.run()
    thread.run()
    assert caplog.text.count("no backup was made") == 1


def several(settings: Settings) -> list[Automatic]:
    """What three processes have."""
    assert settings.backup_dir is not None
    return [Automatic(settings, settings.backup_dir) for _ in range(3)]


def ended(code: int) -> subprocess.Popen[str]:
    """A subprocess that has ended with this exit code."""
    process = subprocess.Popen(["sh", "-c", f"exit {code}"], text=True)
    process.wait()
    return process


@on_sqlite
def test_one_process_at_a_time_makes_a_backup(regular: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(automatic, "_subprocess", lambda lock: started.append(lock) or ended(0))
    threads = several(regular)
    for thread in threads:
        thread.run()
    assert len(started) == 1
    for thread in threads[:2]:
        thread.run()
    assert len(started) == 2


@on_sqlite
def test_after_a_failure_no_process_tries_again_for_ten_minutes(
    regular: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[int] = []
    monkeypatch.setattr(automatic, "_subprocess", lambda lock: started.append(lock) or ended(1))
    for thread in several(regular) * 3:
        thread.run()
    assert len(started) == 1 and caplog.text.count("no backup was made") == 1
    assert regular.backup_dir is not None
    os.utime(regular.backup_dir / ".lock", (time.time() - 601,) * 2)
    several(regular)[0].run()
    assert len(started) == 2


def test_a_running_service_makes_backups_and_keeps_the_newest(
    database_url: str, server: Callable[..., Server], tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    regularly = {"BACKUP_DIR": str(folder), "BACKUP_EVERY": "1s", "BACKUP_KEEP": "1"}
    running = server(DATABASE_URL=database_url, **regularly).start()
    settings = Settings(_env_file=None, database_url=database_url, backup_dir=folder)
    first = wait_for(lambda: list(good_backups(settings)), 60)
    assert running.call("GET", "/readyz")[1]["backups"] == {"ok": True, "detail": "runs"}
    assert running.call("GET", "/api/stats")[1]["backup_age"] >= 0
    wait_for(lambda: first and not first[0].path.exists(), 90)
    assert 1 <= len(list(good_backups(settings))) <= 2


@pytest.fixture
def page(regular: Settings) -> Iterator[FlaskClient]:
    """A client of an app that has a folder for backups."""
    app = create_app(regular)
    yield app.test_client()
    app.extensions["ledger"].close()
    release()


@on_sqlite
def test_the_page_says_when_the_newest_backup_is_too_old(regular: Settings, page: FlaskClient) -> None:
    assert (
        "There is no backup yet" in page.get("/").text and "ledger_backup_age_seconds +Inf" in page.get("/metrics").text
    )
    [path] = aged(regular, 49)
    assert "The newest backup is 49 hours old" in page.get("/").text
    age(Backup(path), 47)
    assert "backup" not in page.get("/").text
    assert "ledger_backup_age_seconds 16" in page.get("/metrics").text
    assert 47 * 3600 <= page.get("/api/stats").json["backup_age"] < 47.1 * 3600


@on_sqlite
def test_without_a_folder_there_are_no_automatic_backups(client: FlaskClient, ledger: Settings) -> None:
    assert automatic.threads(ledger, threading.Event()) == []
    assert client.get("/api/stats").json["backup_age"] is None and "backup" not in client.get("/").text
    assert "\nledger_backup_age_seconds " not in client.get("/metrics").text
