"""Reference recordings on disk: used again, archived, checked, removed when no job comes, and never there in part."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from errors import NotFound
from files.leftovers import remove_leftovers
from files.references import NOTES, has_reference, remove_forgotten, waiting_references
from files.removals import announce_removal
from files.storage import Storage
from maintenance import check as checking
from maintenance.archive.files import files_folder, of_archives
from maintenance.archive.moves import archive, unarchive
from maintenance.backup import backup
from maintenance.check import check, fix
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.archives import everyone
from tests.conftest import KINDS
from tests.covers import ADDRESS, BODY, put, with_covers
from tests.service import ROOT, clean_environment
from tests.sounds import wav_bytes

jobs, tracks = JobRepository(), TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with generators that copy their reference."""
    return with_covers(settings, tmp_path)


def make_old(storage: Storage, job_id: str = "job-1") -> None:
    """Let the note and the recording of a job be two days old."""
    then = time.time() - 2 * 24 * 3600
    for path in filter(Path.exists, (storage.root / NOTES / job_id, storage.reference(job_id))):
        os.utime(path, (then, then))


@pytest.fixture
def first(client: FlaskClient, settings: Settings) -> str:
    """The id of the track that job-1 has made of its recording."""
    put(client)
    client.post("/api/jobs", json={**BODY, "job_type": "maybe"})
    assert JobWorker(settings).tick(0)
    return str(tracks.get_by_job_id("job-1")[0].track_id)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [{}, {"job_id": "encore"}])
def test_a_track_is_made_again_of_the_same_recording(
    client: FlaskClient, settings: Settings, first: str, body: dict[str, Any]
) -> None:
    made = client.post(f"/api/tracks/{first}/again", json=body).json["job_id"]
    client.delete("/api/jobs/job-1?files=true")
    assert client.get(f"/api/jobs/{made}/reference").data == wav_bytes(2)
    assert JobWorker(settings).tick(0)
    assert jobs.get_by_id(made).status == "completed"
    assert tracks.get_by_job_id(made)[0].duration == 2


def test_the_same_request_to_make_a_track_again_changes_nothing(client: FlaskClient, first: str) -> None:
    send = {"path": f"/api/tracks/{first}/again", "json": {"job_id": "encore"}}
    assert client.post(**send).status_code == 201 and client.delete("/api/jobs/encore/reference").status_code == 204
    assert client.post(**send).status_code == 200 and client.get("/api/jobs/encore/reference").status_code == 404
    jobs.update("encore", status="completed")
    assert client.post(**send).status_code == 200


def test_a_recording_that_was_uploaded_for_the_new_job_stays(client: FlaskClient, first: str) -> None:
    put(client, wav_bytes(3), "encore")
    assert client.post(f"/api/tracks/{first}/again", json={"job_id": "encore"}).status_code == 201
    assert client.get("/api/jobs/encore/reference").data == wav_bytes(3)
    assert client.get(ADDRESS).data == wav_bytes(2)


def test_the_form_makes_a_job_and_a_track_again_of_the_same_recording(client: FlaskClient, first: str) -> None:
    for address in ("/jobs/job-1/again", f"/tracks/{first}/again"):
        made = client.post(address).headers["Location"].rpartition("/")[2]
        assert client.get(f"/api/jobs/{made}/reference").data == wav_bytes(2)


def test_an_upload_that_is_killed_leaves_the_old_recording_or_the_new_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.killed", "references", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_without_a_job_is_removed_after_a_day(client: FlaskClient, storage: Storage) -> None:
    for job_id in ("job-1", "young", "recorded"):
        put(client, job_id=job_id)
    make_old(storage)
    make_old(storage, "recorded")
    client.post("/api/jobs", json={**BODY, "job_id": "recorded"})
    make_old(storage, "recorded")
    remove_forgotten(storage)
    assert [has_reference(storage, job_id) for job_id in ("job-1", "young", "recorded")] == [False, True, True]
    assert waiting_references(storage) == {storage.reference("young")}
    assert not storage.folder("job", "job-1").exists()


def test_a_recording_that_is_used_while_it_is_removed_stays(
    client: FlaskClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client)
    make_old(storage)
    rename = os.rename

    def rename_late(source: Path, target: Path) -> None:
        assert has_reference(storage, "job-1")
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_late)
    remove_forgotten(storage)
    assert has_reference(storage, "job-1") and waiting_references(storage)


def test_a_recording_that_an_archive_needs_stays(client: FlaskClient, storage: Storage) -> None:
    put(client)
    make_old(storage)

    def not_there(*_: Any) -> set[Path]:
        raise NotFound("the archive is not there")

    remove_forgotten(storage, not_there)
    assert waiting_references(storage) == {storage.reference("job-1")}
    remove_forgotten(storage, lambda _, paths: paths)
    assert has_reference(storage, "job-1") and waiting_references(storage) == set()


@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_goes_into_an_archive_with_its_job_and_comes_back(
    client: FlaskClient, storage: Storage, tmp_path: Path, files: bool
) -> None:
    put(client)
    client.post("/api/jobs", json={**BODY, "status": "completed"})
    assert archive(tmp_path / "archive.db", everyone(), files=files).moved == 1
    copy = files_folder(tmp_path / "archive.db") / "jobs/job-1/reference.wav"
    assert (copy.exists(), storage.reference("job-1").exists()) == (files, not files)
    make_old(storage)
    remove_forgotten(storage, of_archives)
    assert unarchive(tmp_path / "archive.db").moved == 1
    assert client.get(ADDRESS).data == wav_bytes(2)


def test_a_deletion_that_is_finished_late_leaves_a_new_recording(client: FlaskClient, storage: Storage) -> None:
    note = announce_removal(storage, ("job", "job-1"), [storage.reference("job-1")])
    put(client)
    os.utime(note, (0, 0))
    remove_leftovers(storage)
    assert not note.exists() and client.get(ADDRESS).data == wav_bytes(2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_names_the_recording_of_no_job_after_a_day(
    client: FlaskClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "RECHECK_SECONDS", 0)
    for job_id in ("job-1", "young", "waiting", "recorded"):
        put(client, job_id=job_id)
        make_old(storage, job_id)
    client.post("/api/jobs", json={**BODY, "job_id": "recorded"})
    for job_id in ("job-1", "young", "recorded"):  # as in a restored folder
        (storage.root / NOTES / job_id).unlink()
    os.utime(storage.reference("young"))
    assert [fault.about for fault in check()] == ["jobs/job-1/reference.wav"]


def test_a_recording_whose_job_is_recorded_during_the_repair_stays(
    client: FlaskClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "RECHECK_SECONDS", 0)
    put(client)
    make_old(storage)
    (storage.root / NOTES / "job-1").unlink()
    faults = check()
    client.post("/api/jobs", json=BODY)
    assert len(faults) == 1 and fix(faults) == [] and client.get(ADDRESS).status_code == 200


def test_a_backup_has_the_recordings(client: FlaskClient, storage: Storage, settings: Settings, tmp_path: Path) -> None:
    put(client)
    backup(settings, tmp_path / "copy", files=True)
    assert (tmp_path / "copy/files/jobs/job-1/reference.wav").read_bytes() == wav_bytes(2)
