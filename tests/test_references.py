"""Reference recordings of jobs: uploaded before the job or later, read by its generator, and deleted with it."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import soundfile
from flask import Flask
from flask.testing import FlaskClient

from errors import WrongStatus
from files import references
from files.references import put_reference, waiting_references
from files.storage import PARTS, Storage
from models import JOB_STATUSES, Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.answers import problem
from tests.conftest import KINDS, Server
from tests.covers import ADDRESS, BODY, put, with_covers
from tests.sounds import wav_bytes
from tests.test_storage import everything

jobs, tracks = JobRepository(), TrackRepository()
OPEN, CLOSED = JOB_STATUSES.changeable, [name for name in JOB_STATUSES.all if name not in JOB_STATUSES.changeable]


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with generators that copy their reference."""
    return with_covers(settings, tmp_path)


def in_status(status: str) -> None:
    """Record job-1 in a status."""
    jobs.create(job_id="job-1", prompt="p", status=status)


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_reads_exactly_the_recording_that_came_before_its_job(
    client: FlaskClient, settings: Settings, storage: Storage
) -> None:
    assert put(client).status_code == 201 and client.post("/api/jobs", json=BODY).json["notes"] == []
    assert JobWorker(settings).tick(0) and jobs.get_by_id("job-1").status == "completed"
    (track,) = tracks.get_by_job_id("job-1")
    made, sent = (soundfile.read(file)[0] for file in (storage.root / track.file_path_wav, io.BytesIO(wav_bytes(2))))
    assert made.shape == sent.shape and abs(made - sent).max() < 1e-4
    assert track.provenance["command"][-1] == str(storage.reference("job-1"))
    assert storage.reference("job-1").read_bytes() == wav_bytes(2)


def test_an_upload_says_what_it_is_and_can_be_played(client: FlaskClient, job: Job) -> None:
    first, second = put(client, wav_bytes(1)), put(client, wav_bytes(2))
    assert (first.status_code, second.status_code) == (201, 200)
    facts = {"job_id": "job-1", "duration": 2, "rate": 8000, "channels": 2, "bytes": len(wav_bytes(2))}
    assert second.json == facts and second.headers["Location"] == ADDRESS
    assert client.get("/api/jobs/job-1").json["urls"]["reference"] == ADDRESS
    played = client.get(ADDRESS, headers={"Range": "bytes=4-9"})
    assert (played.status_code, played.data, played.mimetype) == (206, wav_bytes(2)[4:10], "audio/wav")
    assert client.head(ADDRESS).content_length == len(wav_bytes(2))


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "AIFF"])
def test_every_other_kind_of_sound_becomes_a_wav(client: FlaskClient, storage: Storage, form: str) -> None:
    assert put(client, wav_bytes(1, form)).status_code == 201
    kept = soundfile.info(storage.reference("job-1"))
    assert (kept.format, kept.samplerate, kept.channels) == ("WAV", 8000, 2)
    assert abs(kept.duration - 1) < 0.1 and not list((storage.root / PARTS).iterdir())


@pytest.mark.parametrize(("body", "said"), [(b"text", "not audio"), (wav_bytes()[:44], "no sound in it")])
def test_what_is_not_sound_is_refused_and_the_recording_before_stays(
    client: FlaskClient, storage: Storage, body: bytes, said: str
) -> None:
    assert said in problem(put(client, body), 400, "invalid")["detail"]
    assert not storage.reference("job-1").exists() and client.get(ADDRESS).status_code == 404
    put(client)
    assert put(client, body).status_code == 400 and client.get(ADDRESS).data == wav_bytes(2)


def test_a_recording_over_the_limit_is_refused(app: Flask, client: FlaskClient, storage: Storage) -> None:
    app.extensions["ledger"].track_files.uploads.limit = 50_000
    assert "MAX_UPLOAD_MB" in problem(put(client, wav_bytes(2)), 413, "too_large")["detail"]
    assert len(wav_bytes(2, "OGG")) < 50_000  # and as WAV it would be larger
    problem(put(client, wav_bytes(2, "OGG")), 413, "too_large")
    assert not [path for path in everything(storage.root) if path.is_file()]


def test_a_large_recording_comes_through_the_server(server: Callable[..., Server]) -> None:
    running = server(MAX_UPLOAD_MB="3").start()
    body = wav_bytes(80)
    assert 1024 * 1024 < len(body) < 3_000_000
    with urlopen(Request(running.url + ADDRESS, body, method="PUT")) as answer:
        assert answer.status == 201 and json.load(answer)["bytes"] == len(body)
    assert running.call("GET", ADDRESS) == (200, body)
    with pytest.raises(HTTPError, match="413"):
        urlopen(Request(running.url + ADDRESS, wav_bytes(100), method="PUT"))
    assert running.call("HEAD", ADDRESS)[0] == 200 and running.call("DELETE", ADDRESS)[0] == 204


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", OPEN)
def test_a_job_that_nobody_makes_gets_another_recording(client: FlaskClient, storage: Storage, status: str) -> None:
    in_status(status)
    assert put(client, wav_bytes(1)).status_code == 201 and put(client, wav_bytes(2)).status_code == 200
    assert client.get(ADDRESS).data == wav_bytes(2) and waiting_references(storage) == set()
    assert client.delete(ADDRESS).status_code == 204 and client.delete(ADDRESS).status_code == 404
    assert not storage.folder("job", "job-1").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", CLOSED)
def test_the_recording_of_a_job_that_is_made_stays(client: FlaskClient, status: str) -> None:
    put(client)
    in_status(status)
    for refused in (put(client, wav_bytes(1)), client.delete(ADDRESS)):
        detail = problem(refused, 409, "wrong_status")["detail"]
        assert f"job-1 is {status}" in detail and "while it is pending, failed or cancelled" in detail
    assert client.get(ADDRESS).data == wav_bytes(2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_is_claimed_during_the_upload_keeps_its_recording(
    client: FlaskClient, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client)

    def put_late(storage: Storage, job_id: str, part: Path) -> bool:
        assert jobs.claim("w") is not None
        return put_reference(storage, job_id, part)

    monkeypatch.setattr(references, "put_reference", put_late)
    problem(put(client, wav_bytes(1)), 409, "wrong_status")
    assert client.get(ADDRESS).data == wav_bytes(2)


@pytest.mark.parametrize("kind", KINDS)
def test_no_worker_claims_a_job_while_its_recording_is_replaced(ledger: Settings, job: Job) -> None:
    claimed: list[Job | None] = []
    claimer = threading.Thread(target=lambda: claimed.append(jobs.claim("w")))
    with jobs.at_rest("job-1"):
        claimer.start()
        claimer.join(0.2)
        assert not [job for job in claimed if job]
    claimer.join(20)
    assert claimed == [None] or jobs.get_by_id("job-1").worker == "w"


def test_a_job_that_is_recorded_and_claimed_during_the_upload_is_no_success(
    client: FlaskClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = references.publish_file

    def publish_late(part: Path, final: Path) -> None:
        publish(part, final)
        Job.insert(job_id="job-1", prompt="p", status="generating_audio").execute()

    monkeypatch.setattr(references, "publish_file", publish_late)
    problem(put(client), 409, "wrong_status")


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_is_checked_when_the_job_is_recorded_or_changed(client: FlaskClient) -> None:
    refusal = problem(client.post("/api/jobs", json=BODY), 422, "invalid")
    assert [error["field"] for error in refusal["errors"]] == ["metadata.reference_track"]
    put(client)
    assert client.post("/api/jobs", json=BODY).status_code == 201
    assert client.patch("/api/jobs/job-1", json={"prompt": "jazz"}).status_code == 200
    problem(client.post("/api/jobs", json={**BODY, "job_id": "job-2"}), 422, "invalid")
    client.delete(ADDRESS)
    problem(client.patch("/api/jobs/job-1", json={"prompt": "rock"}), 422, "invalid")


def test_notes_say_which_reference_is_not_used(client: FlaskClient, settings: Settings, track: Track) -> None:
    for job_id in ("a", "b"):
        put(client, job_id=job_id)
    both = {**BODY, "job_id": "a", "metadata": {"reference_track": "track-1"}}
    (note,) = client.post("/api/jobs", json=both).json["notes"]
    assert note == "metadata.reference_track is not used: the job has an uploaded reference recording"
    (note,) = client.post("/api/jobs", json={**BODY, "job_id": "b", "job_type": "synth"}).json["notes"]
    assert note == "synth takes no reference recording: the uploaded recording is not used"


def test_an_uploaded_recording_comes_before_a_track(client: FlaskClient, settings: Settings) -> None:
    put(client)
    made = client.post("/api/jobs", json={**BODY, "metadata": {"reference_track": "no such track"}})
    assert made.status_code == 201
    assert JobWorker(settings).tick(0)
    job = jobs.get_by_id("job-1")
    assert job.status == "completed" and "reference_track is not used" in job.file_manifest["notes"][0]


def test_the_page_of_a_job_has_the_notes_about_its_recording_as_it_is_now(client: FlaskClient) -> None:
    note = "takes no reference recording: the uploaded recording is not used"
    client.post("/api/jobs", json={**BODY, "job_type": "synth"})
    assert note not in client.get("/jobs/job-1").text
    put(client)
    assert note in client.get("/jobs/job-1").text
    client.delete(ADDRESS)
    assert note not in client.get("/jobs/job-1").text


def test_a_job_that_is_retried_uses_its_recording_again(client: FlaskClient, settings: Settings) -> None:
    put(client)
    client.post("/api/jobs", json={**BODY, "status": "failed"})
    assert client.post("/api/jobs/job-1/retry").status_code == 200
    assert JobWorker(settings).tick(0) and jobs.get_by_id("job-1").status == "completed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("query", ["", "?files=true"])
def test_a_recording_goes_with_its_job(client: FlaskClient, storage: Storage, query: str) -> None:
    put(client)
    client.post("/api/jobs", json=BODY)
    assert client.delete(f"/api/jobs/job-1{query}").status_code == 204
    assert client.get(ADDRESS).status_code == 404
    problem(client.post("/api/jobs", json=BODY), 422, "invalid")


def test_a_disk_that_is_full_is_named(client: FlaskClient, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(references, "publish_file", full)
    problem(put(client), 507, "storage_full")
    assert client.get(ADDRESS).status_code == 404


def test_a_job_that_is_not_recorded_is_at_rest(ledger: Settings, job: Job) -> None:
    with jobs.at_rest("none") as is_recorded:
        assert not is_recorded
    jobs.claim("w")
    with pytest.raises(WrongStatus, match="its reference recording"), jobs.at_rest("job-1"):
        pass
