"""Records deleted over REST, with and without their files."""

import errno
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from peewee import OperationalError

from files.storage import Storage
from models import Job, Track
from repos import TrackRepository
from tests.conftest import KINDS
from tests.sounds import wav_bytes
from tests.test_storage import everything

tracks = TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


@pytest.mark.parametrize("kind", KINDS)
def test_files_go_with_their_records_when_that_is_asked_for(client: FlaskClient, storage: Storage, job: Job) -> None:
    place = storage.folder("job", "job-1") / "attempt"
    place.mkdir(parents=True)
    (place / "song.wav").write_bytes(wav_bytes())
    client.post("/api/jobs/job-1/tracks", json={"track_id": "t", "file_path_wav": "jobs/job-1/attempt/song.wav"})
    client.put("/api/tracks/t/audio", data=wav_bytes(1, "MP3"))
    client.get("/api/tracks/t/waveform.json")
    assert client.delete("/api/tracks/t").status_code == 204 and (place / "song.wav").exists()
    client.post("/api/jobs/job-1/tracks", json={"track_id": "t", "file_path_wav": "jobs/job-1/attempt/song.wav"})
    assert client.delete("/api/tracks/t?files=true").status_code == 204
    assert not [path for path in everything(storage.root) if path.is_file()]


def test_the_files_of_another_job_stay(client: FlaskClient, storage: Storage, track: Track) -> None:
    theirs = storage.folder("job", "other") / "a" / "song.wav"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    tracks.update("track-1", file_path_wav="jobs/other/a/song.wav")
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204 and theirs.exists()


def test_a_file_that_another_record_names_stays(client: FlaskClient, storage: Storage, job: Job) -> None:
    place = storage.folder("job", "job-1") / "attempt"
    place.mkdir(parents=True)
    (place / "song.wav").write_bytes(wav_bytes())
    client.post("/api/jobs", json={"job_id": "other", "prompt": "p"})
    for track_id in ("t1", "t2"):
        client.post(
            "/api/jobs/job-1/tracks", json={"track_id": track_id, "file_path_wav": "jobs/job-1/attempt/song.wav"}
        )
    client.get("/api/tracks/t1/waveform.svg")
    assert client.delete("/api/tracks/t1?files=true").status_code == 204
    assert client.patch("/api/tracks/t2", json={"job_id": "other"}).status_code == 200
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    assert client.get("/api/tracks/t2/audio").data == wav_bytes()


def test_a_log_goes_with_its_job(client: FlaskClient, storage: Storage, job: Job) -> None:
    storage.log("job-1").parent.mkdir(parents=True)
    storage.log("job-1").write_text("of another")
    client.delete("/api/jobs/job-1")
    client.post("/api/jobs", json={"job_id": "job-1", "prompt": "p"})
    assert client.get("/api/jobs/job-1/log").data == b""


def test_no_file_goes_when_the_record_stays(client: FlaskClient, storage: Storage, song: bytes) -> None:
    answer = client.delete("/api/tracks/track-1?files=true", headers={"If-Match": '"1"'})
    assert answer.status_code == 412 and (storage.root / "song.wav").read_bytes() == song


def test_a_log_that_cannot_be_removed_is_no_error(
    client: FlaskClient, storage: Storage, job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage.log("job-1").parent.mkdir(parents=True)
    storage.log("job-1").write_text("printed")

    def forbidden(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", forbidden)
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    assert client.get("/api/jobs/job-1").status_code == 404
    assert "a file stays" in caplog.text and "generator.log" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_goes_away_after_the_deletion_is_no_error(
    client: FlaskClient, song: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lose_the_connection(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("files.deletion.named", lose_the_connection)
    assert client.delete("/api/tracks/track-1?files=true").status_code == 204
    assert "track-1" in caplog.text and "stay" in caplog.text
