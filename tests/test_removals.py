"""Deletions with files that end too early: the files go later, and no other file does."""

import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from peewee import OperationalError

from files.leftovers import remove_leftovers
from files.removals import REMOVALS
from files.storage import Storage
from models import Loop
from repos import JobRepository, LoopRepository, TrackRepository
from tests.conftest import on_sqlite
from tests.sounds import wav_bytes
from tests.test_storage import everything

PATHS = {
    "jobs/job-1": "jobs/job-1/a/song.wav",
    "tracks/track-1": "tracks/track-1/a.wav",
    "loops/loop-1": "loops/loop-1/a/l.wav",
}
STALE = {"If-Match": '"1"'}


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


@pytest.fixture
def files(storage: Storage, loop: Loop) -> dict[str, Path]:
    """A file of a job, of its track and of its loop, by the route of the record."""
    made = {route: storage.root / name for route, name in PATHS.items()}
    for path in made.values():
        path.parent.mkdir(parents=True)
        path.write_bytes(wav_bytes())
    TrackRepository().update("track-1", file_path_wav=PATHS["tracks/track-1"])
    LoopRepository().update("loop-1", result_path=PATHS["loops/loop-1"])
    return made


def die(*_: Any, **__: Any) -> None:
    """Be killed."""
    raise Killed


def sweep(storage: Storage) -> None:
    """Let an hour pass, and housekeeping run. No note stays."""
    for note in (storage.root / REMOVALS).iterdir():
        os.utime(note, (0, 0))
    remove_leftovers(storage)
    assert not list((storage.root / REMOVALS).iterdir())


@pytest.mark.parametrize("step", ["files.deletion.remove_belongings", "files.storage.Storage.remove"])
@pytest.mark.parametrize("route", PATHS)
def test_the_files_of_a_deletion_that_is_killed_go_later(
    client: FlaskClient,
    storage: Storage,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    step: str,
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(step, die)
        client.delete(f"/api/{route}?files=true")
    assert client.get(f"/api/{route}").status_code == 404 and files[route].exists()
    remove_leftovers(storage)
    assert files[route].exists()
    sweep(storage)
    assert not files[route].exists() and not (storage.root / route).exists()


def test_the_files_of_a_deletion_go_later_when_the_database_goes_away(
    client: FlaskClient, storage: Storage, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_connection(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr("files.deletion.named", lose_the_connection)
        assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    sweep(storage)
    assert not [path for path in everything(storage.root) if path.is_file()]


@on_sqlite
def test_a_file_that_a_new_record_names_outlives_a_deletion_that_is_killed(
    client: FlaskClient, storage: Storage, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("files.deletion.remove_belongings", die)
        client.delete("/api/tracks/track-1?files=true")
    TrackRepository().create(track_id="new", job_id="job-1", file_path_wav=PATHS["tracks/track-1"])
    sweep(storage)
    assert client.get("/api/tracks/new/audio").data == wav_bytes() and not files["loops/loop-1"].exists()


@on_sqlite
def test_a_deletion_that_is_killed_before_its_commit_removes_nothing(
    client: FlaskClient, storage: Storage, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(JobRepository, "delete", die)
        client.delete("/api/jobs/job-1?files=true")
    sweep(storage)
    assert all(path.exists() for path in files.values())


@on_sqlite
@pytest.mark.parametrize(("route", "status"), [("jobs/job-1", 412), ("jobs/nobody", 404)])
def test_a_deletion_that_is_refused_leaves_no_note(
    client: FlaskClient, storage: Storage, files: dict[str, Path], route: str, status: int
) -> None:
    assert client.delete(f"/api/{route}?files=true", headers=STALE).status_code == status
    assert not list((storage.root / REMOVALS).glob("*")) and all(path.exists() for path in files.values())


@on_sqlite
def test_a_deletion_needs_no_room_on_the_disk(
    client: FlaskClient, storage: Storage, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    (storage.root / REMOVALS).write_text("no folder: no note can be written")
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    assert not any(path.exists() for path in files.values()) and "no note" in caplog.text
