"""Uploaded covers when a change is refused or killed, and when a track is deleted at the same time."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from peewee import OperationalError

from database import database, release_connection
from files import deletion
from files.covers import version_of
from files.deletion import delete_job, delete_jobs, delete_track
from files.pictures import Picture
from files.storage import PARTS, Storage
from models import Job, Track
from tests.conftest import KINDS, ROOT, clean_environment, on_postgresql, thorough
from tests.test_covers import COVER, jpeg, png, upload


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def broken_commit() -> None:
    """A commit on a disk that fails."""
    raise OperationalError("disk I/O error")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [png(9, 9), None])
def test_a_refused_upload_leaves_the_cover_as_it_was(
    client: FlaskClient, storage: Storage, track: Track, before: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = storage.cover("track-1")
    if before is not None:
        upload(client, before)
    version = version_of(path)
    with monkeypatch.context() as patched:
        patched.setattr(database.obj, "commit", broken_commit)
        assert upload(client, png()).status_code == 503
    assert version_of(path) == version and path.parent.exists() == (before is not None)
    assert not list((storage.root / PARTS).iterdir())
    assert upload(client, png()).status_code == 200 and client.get(COVER).data == png()


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_removal_leaves_the_cover_as_it_was(
    client: FlaskClient, storage: Storage, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, png())
    version = version_of(storage.cover("track-1"))
    with monkeypatch.context() as patched:
        patched.setattr(database.obj, "commit", broken_commit)
        assert client.delete(COVER).status_code == 503
    assert version_of(storage.cover("track-1")) == version and client.get(COVER).data == png()
    assert not list((storage.root / PARTS).iterdir())


def test_a_refused_upload_leaves_a_newer_cover_of_another_process(
    client: FlaskClient, storage: Storage, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, png(9, 9))

    def replaced_meanwhile() -> None:
        storage.cover("track-1").write_bytes(jpeg())
        broken_commit()

    with monkeypatch.context() as patched:
        patched.setattr(database.obj, "commit", replaced_meanwhile)
        assert upload(client, png()).status_code == 503
    assert client.get(COVER).data == jpeg()


DELETIONS: dict[str, Callable[[Storage], object]] = {
    "track": lambda storage: delete_track(storage, "track-1", None, files=False),
    "track with files": lambda storage: delete_track(storage, "track-1", None, files=True),
    "job": lambda storage: delete_job(storage, "job-1", None, files=False),
    "jobs": lambda storage: delete_jobs(storage, ["job-1"]),
}


def after_the_look(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Thread:
    """A thread that does something when a deletion has looked for covers. The deletion waits for it for a second."""

    def run() -> None:
        act()
        release_connection()

    def and_act(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*arguments: Any) -> Any:
            result = look(*arguments)
            if thread.ident is None:
                thread.start()
                thread.join(1)  # it ends only if nothing is locked
            return result

        return looked

    thread = Thread(target=run)
    for name in ("_jobs_with_covers", "paths_of"):
        monkeypatch.setattr(deletion, name, and_act(getattr(deletion, name)))
    return thread


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", DELETIONS)
def test_an_upload_after_a_deletion_has_looked_for_covers_leaves_none(
    app: Flask, storage: Storage, track: Track, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = list[int]()
    thread = after_the_look(monkeypatch, lambda: answers.append(upload(app.test_client(), png()).status_code))
    assert DELETIONS[what](storage)
    thread.join()
    assert answers == [404] and not storage.folder("track", "track-1").exists()


@on_postgresql
def test_no_track_is_added_to_a_job_that_is_being_deleted(
    app: Flask, storage: Storage, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = list[int]()
    path, body = "/api/jobs/job-1/tracks", {"track_id": "late"}
    thread = after_the_look(monkeypatch, lambda: answers.append(app.test_client().post(path, json=body).status_code))
    assert delete_job(storage, "job-1", None, files=True)
    thread.join()
    assert answers == [422] and not Track.select().exists()


def test_an_upload_for_a_track_that_is_deleted_meanwhile_leaves_no_file(
    client: FlaskClient, storage: Storage, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted_first(file: Any) -> Picture:
        assert client.delete("/api/tracks/track-1").status_code == 204
        return Picture("image/png", 1, 1)

    monkeypatch.setattr("files.covers.read_header", deleted_first)
    assert upload(client, png()).status_code == 404
    assert not storage.folder("track", "track-1").exists() and not list((storage.root / PARTS).iterdir())


KILLED = ("replace", "delete_jobs")
ALSO_KILLED = ("remove", "delete_track", "delete_files", "delete_job")


@pytest.mark.parametrize("action", thorough((*KILLED, *ALSO_KILLED), KILLED))
def test_what_is_killed_leaves_the_old_cover_or_the_new_one_and_none_without_a_track(
    action: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.killed_covers", action, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4
