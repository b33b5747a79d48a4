"""Uploading the sound of a track over REST."""

import errno
import http.client
import io
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
from flask import Flask
from flask.testing import FlaskClient
from peewee import OperationalError

from files.cache import DERIVED
from files.leftovers import remove_leftovers
from files.pending import PENDING, announce, pending_uploads
from files.publishing import publish_file
from files.storage import PARTS, Storage
from models import Track
from repos import TrackRepository
from settings import Settings
from tests.conftest import KINDS, Server, wait_for
from tests.sounds import RATE, wav_bytes
from tests.test_storage import everything

pytestmark = pytest.mark.measured

tracks = TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


@pytest.mark.parametrize("kind", KINDS)
def test_an_uploaded_file_is_the_sound_of_its_track(client: FlaskClient, storage: Storage, track: Track) -> None:
    answer = client.put("/api/tracks/track-1/audio", data=wav_bytes(2))
    assert (answer.status_code, answer.json["duration"]) == (200, 2)
    assert client.get("/api/tracks/track-1/audio").data == wav_bytes(2)
    assert storage.find(answer.json["file_path_wav"]) and not list((storage.root / PARTS).iterdir())


def test_an_upload_replaces_the_one_before(client: FlaskClient, storage: Storage, track: Track) -> None:
    for seconds in (1, 2, 3):
        client.put("/api/tracks/track-1/audio", data=wav_bytes(seconds))
        kept = tracks.get_by_id("track-1")
        assert list(storage.folder("track", "track-1").iterdir()) == [storage.root / kept.file_path_wav]
        assert kept.duration == seconds and not list((storage.root / PENDING).iterdir())


def test_an_upload_leaves_what_a_job_made(client: FlaskClient, storage: Storage, song: bytes) -> None:
    client.put("/api/tracks/track-1/audio", data=wav_bytes(2))
    assert (storage.root / "song.wav").read_bytes() == song


def test_another_kind_of_sound_becomes_a_wav(client: FlaskClient, track: Track) -> None:
    client.put("/api/tracks/track-1/audio", data=wav_bytes(1, "FLAC"))
    played = client.get("/api/tracks/track-1/audio?format=wav").data
    assert played[:4] == b"RIFF" and len(soundfile.read(io.BytesIO(played))[0]) == RATE


@pytest.mark.parametrize(
    ("query", "body", "said"),
    [
        ("", b"this is text", "it is not audio that can be decoded"),
        ("", wav_bytes()[:44], "it has no sound in it"),
        ("?format=mp3", wav_bytes(), "The body is WAV, and format says mp3"),
        ("?format=wav", wav_bytes(1, "MP3"), "The body is MP3, and format says wav"),
        ("?format=mp3", wav_bytes(1, "FLAC"), "The body is WAV, and format says mp3"),
        ("?format=ogg", wav_bytes(), "format"),
    ],
)
def test_a_bad_upload_changes_nothing(
    client: FlaskClient, storage: Storage, song: bytes, query: str, body: bytes, said: str
) -> None:
    before = everything(storage.root)
    answer = client.put(f"/api/tracks/track-1/audio{query}", data=body)
    assert answer.status_code == 400 and said in answer.json["detail"], answer.json
    assert everything(storage.root) - before <= {storage.root / PARTS}
    assert client.get("/api/tracks/track-1/audio").data == song


def test_an_upload_to_a_track_that_changed_or_is_not_there_is_refused(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    stale = client.put("/api/tracks/track-1/audio", data=wav_bytes(), headers={"If-Match": '"1"'})
    assert stale.status_code == 412 and not storage.folder("track", "track-1").exists()
    assert client.put("/api/tracks/nobody/audio", data=wav_bytes()).status_code == 404


def test_an_upload_that_ends_early_or_is_too_large_is_refused(server: Callable[..., Server]) -> None:
    running = server(MAX_UPLOAD_MB="1").start()
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t"})
    assert put(running, wav_bytes(), length=100_000)[0] == 400
    assert put(running, b"", length=2_000_000)[0] == 413
    assert put(running, b"")[0] == 400
    assert put(running, wav_bytes(), chunked=True)[0] == 411
    status, body = put(running, wav_bytes())
    assert status == 200 and json.loads(body)["duration"] == 1
    assert len([path for path in running.storage.rglob("*") if path.is_file()]) == 1


def put(
    running: Server, body: bytes, length: int | None = None, chunked: bool = False, if_match: str = "*"
) -> tuple[int, bytes]:
    """(status, body) of an upload whose Content-Length may lie."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.putrequest("PUT", "/api/tracks/t/audio")
    connection.putheader("If-Match", if_match)
    connection.putheader(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", length or len(body))))
    try:
        connection.endheaders()
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        if length is not None:
            connection.sock.shutdown(1)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("rate", "channels"), [(1, 2), (2000, 1), (1_000_000, 1), (8000, 200)])
def test_a_sound_of_absurd_shape_is_refused(client: FlaskClient, track: Track, rate: int, channels: int) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((100, channels), np.float32), rate, format="WAV")
    answer = client.put("/api/tracks/track-1/audio", data=file.getvalue())
    assert answer.status_code == 400 and f"{channels} channels at {rate} Hz" in answer.json["detail"]


def test_a_small_file_that_would_fill_the_disk_is_refused(app: Flask, client: FlaskClient, track: Track) -> None:
    app.extensions["ledger"].track_files.uploads.limit = 1_000_000
    file = io.BytesIO()
    soundfile.write(file, np.zeros((600_000, 1), np.float32), 8000, format="FLAC")
    assert len(file.getvalue()) < 100_000
    answer = client.put("/api/tracks/track-1/audio", data=file.getvalue())
    assert answer.status_code == 413 and "MAX_UPLOAD_MB" in answer.json["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_after_an_upload_all_that_is_served_is_of_the_new_sound(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    client.get("/api/tracks/track-1/audio?format=mp3")
    for kind, other, seconds in (("wav", "mp3", 2), ("mp3", "wav", 3), ("wav", "mp3", 4)):
        before = client.get("/api/tracks/track-1/waveform.json").headers["ETag"]
        answer = client.put(f"/api/tracks/track-1/audio?format={kind}", data=wav_bytes(seconds, kind.upper()))
        assert (answer.json["duration"], answer.json[f"file_path_{other}"]) == (seconds, None)
        shape = client.get("/api/tracks/track-1/waveform.json", headers={"If-None-Match": before})
        assert (shape.status_code, shape.json["duration"]) == (200, seconds)
        mp3 = client.get("/api/tracks/track-1/audio?format=mp3").data
        assert soundfile.info(io.BytesIO(mp3)).frames == seconds * RATE
    assert len([path for path in everything(storage.root / DERIVED / "tracks") if path.is_file()]) == 2


def test_an_upload_that_is_refused_keeps_the_sound_before(client: FlaskClient, storage: Storage, track: Track) -> None:
    client.put("/api/tracks/track-1/audio", data=wav_bytes())
    stale = client.put("/api/tracks/track-1/audio", data=wav_bytes(2), headers={"If-Match": '"1"'})
    assert stale.status_code == 412 and client.get("/api/tracks/track-1/audio").data == wav_bytes()
    assert len(list(storage.folder("track", "track-1").iterdir())) == 1


@pytest.mark.parametrize("files", ["true", "false"])
def test_an_upload_for_a_track_that_is_deleted_meanwhile_leaves_no_file(
    client: FlaskClient, storage: Storage, track: Track, monkeypatch: pytest.MonkeyPatch, files: str
) -> None:
    def publish_too_late(part: Path, final: Path) -> None:
        publish_file(part, final)
        assert client.delete(f"/api/tracks/track-1?files={files}").status_code == 204

    monkeypatch.setattr("files.tracks.publish_file", publish_too_late)
    answer = client.put("/api/tracks/track-1/audio", data=wav_bytes())
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert not [path for path in everything(storage.root) if path.is_file()]
    assert not storage.folder("track", "track-1").exists()


def test_deleting_a_track_leaves_an_upload_that_another_record_is_about_to_name(
    client: FlaskClient, storage: Storage, track: Track
) -> None:
    client.put("/api/tracks/track-1/audio", data=wav_bytes())
    upload = storage.folder("track", "track-1") / "new.wav"
    announce(storage, upload)
    upload.write_bytes(wav_bytes(2))
    assert client.delete("/api/tracks/track-1?files=true").status_code == 204
    assert list(upload.parent.iterdir()) == [upload]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_upload_left_is_removed_unless_a_record_names_it(
    client: FlaskClient, storage: Storage, track: Track
) -> None:
    unnamed, named, fresh = [storage.folder("track", "track-1") / f"{name}.wav" for name in ("a", "b", "c")]
    hour_ago = time.time() - 4000
    unnamed.parent.mkdir(parents=True)
    for upload, when in ((unnamed, hour_ago), (named, hour_ago), (fresh, time.time())):
        os.utime(announce(storage, upload), (when, when))
        upload.write_bytes(wav_bytes())
    tracks.update("track-1", file_path_wav=storage.relative(named))
    remove_leftovers(storage)
    assert set(unnamed.parent.iterdir()) == {named, fresh} and list(pending_uploads(storage)) == [fresh]


def test_a_database_that_goes_away_leaves_an_upload_to_housekeeping(
    client: FlaskClient, storage: Storage, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_connection(*_: Any, **__: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(TrackRepository, "update", lose_the_connection)
        assert client.put("/api/tracks/track-1/audio", data=wav_bytes()).status_code == 503
    ((upload, note),) = pending_uploads(storage).items()
    assert upload.exists()
    os.utime(note, (0, 0))
    remove_leftovers(storage)
    assert not [path for path in everything(storage.root) if path.is_file()]


@pytest.mark.parametrize("kind", KINDS)
def test_uploads_to_one_track_at_the_same_time_leave_the_file_that_its_record_names(
    server: Callable[..., Server], database_url: str
) -> None:
    running = server(DATABASE_URL=database_url).start()
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t"})
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda seconds: put(running, wav_bytes(seconds)), [1, 2, 3, 4, 5, 6] * 4))
    _, kept = running.call("GET", "/api/tracks/t")
    assert [status for status, _ in answers] == [200] * 24
    assert list((running.storage / "tracks" / "t").iterdir()) == [running.storage / kept["file_path_wav"]]
    assert running.call("GET", "/api/tracks/t/audio")[1] == wav_bytes(kept["duration"])


def test_of_two_uploads_that_name_one_version_one_is_refused(server: Callable[..., Server]) -> None:
    running = server().start()
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t"})
    with urlopen(f"{running.url}/api/tracks/t") as answer:
        version = answer.headers["ETag"]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda seconds: put(running, wav_bytes(seconds), if_match=version), [1, 2]))
    assert sorted(status for status, _ in answers) == [200, 412]
    assert len(list((running.storage / "tracks" / "t").iterdir())) == 1


@pytest.mark.parametrize(("code", "status"), [(errno.EDQUOT, 507), (errno.EROFS, 503), (errno.EIO, 503)])
def test_an_upload_that_cannot_be_written_says_why(
    client: FlaskClient, storage: Storage, song: bytes, monkeypatch: pytest.MonkeyPatch, code: int, status: int
) -> None:
    def fail(part: Path, final: Path) -> None:
        raise OSError(code, os.strerror(code), str(final))

    monkeypatch.setattr("files.tracks.publish_file", fail)
    answer = client.put("/api/tracks/track-1/audio", data=wav_bytes(2))
    assert answer.status_code == status and str(storage.root) not in answer.text
    assert client.get("/api/tracks/track-1/audio").data == song
    assert not list((storage.root / PARTS).iterdir()) and not pending_uploads(storage)


def test_a_service_that_starts_again_removes_what_a_killed_upload_left(server: Callable[..., Server]) -> None:
    running = server()
    storage = Storage(Settings(_env_file=None, storage_dir=running.storage))
    upload = storage.folder("track", "t") / "a.wav"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(wav_bytes())
    os.utime(announce(storage, upload), (0, 0))
    running.start()
    wait_for(lambda: not upload.parent.exists() and not pending_uploads(storage), 20)
