"""Uploading the sound of a track over REST."""

import http.client
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from flask import Flask
from flask.testing import FlaskClient

from files.storage import PARTS, Storage
from models import Track
from repos import TrackRepository
from tests.conftest import KINDS, Server
from tests.sounds import RATE, wav_bytes
from tests.test_storage import everything

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
    client.put("/api/tracks/track-1/audio?format=mp3", data=wav_bytes(3, "MP3"))
    kept = tracks.get_by_id("track-1")
    names = {Path(kept.file_path_wav).name, Path(kept.file_path_mp3).name}
    assert {path.name for path in storage.folder("track", "track-1").iterdir()} == names and kept.duration == 3


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
    assert stale.status_code == 412 and not list(storage.folder("track", "track-1").iterdir())
    assert client.put("/api/tracks/nobody/audio", data=wav_bytes()).status_code == 404


def test_an_upload_that_ends_early_or_is_too_large_is_refused(server: Callable[..., Server]) -> None:
    running = server(MAX_UPLOAD_MB="1").start()
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t"})
    assert put(running, wav_bytes(), length=100_000)[0] in (400, None)
    assert put(running, b"", length=2_000_000)[0] == 413
    assert put(running, b"")[0] == 400
    assert put(running, wav_bytes(), chunked=True)[0] == 411
    status, found = put(running, wav_bytes())
    assert status == 200 and json.loads(found)["duration"] == 1
    assert len([path for path in running.storage.rglob("*") if path.is_file()]) == 1


def put(running: Server, body: bytes, length: int | None = None, chunked: bool = False) -> tuple[int | None, bytes]:
    """(status, body) of an upload whose Content-Length may lie; None when the server hangs up."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.putrequest("PUT", "/api/tracks/t/audio")
    connection.putheader(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", length or len(body))))
    try:
        connection.endheaders()
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        if length is not None:
            connection.sock.shutdown(1)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (http.client.RemoteDisconnected, ConnectionError):
        return None, b""
    finally:
        connection.close()


@pytest.mark.parametrize(("rate", "channels"), [(1, 2), (2000, 1), (1_000_000, 1), (8000, 200)])
def test_a_sound_of_absurd_shape_is_refused(client: FlaskClient, track: Track, rate: int, channels: int) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((100, channels), np.float32), rate, format="WAV")
    answer = client.put("/api/tracks/track-1/audio", data=file.getvalue())
    assert answer.status_code == 400 and f"{channels} channels at {rate} Hz" in answer.json["detail"]


def test_a_small_file_that_would_fill_the_disk_is_refused(app: Flask, client: FlaskClient, track: Track) -> None:
    app.extensions["ledger"].track_files.limit = 1_000_000
    file = io.BytesIO()
    soundfile.write(file, np.zeros((600_000, 1), np.float32), 8000, format="FLAC")
    assert len(file.getvalue()) < 100_000
    answer = client.put("/api/tracks/track-1/audio", data=file.getvalue())
    assert answer.status_code == 413 and "MAX_UPLOAD_MB" in answer.json["detail"]
