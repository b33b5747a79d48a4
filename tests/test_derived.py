"""Derived files: the MP3 and the waveform made of a sound file, over REST."""

import errno
import io
import socket
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import soundfile
from flask.testing import FlaskClient

from files.cache import DERIVED
from files.derived import Derivatives
from files.sound import probe
from files.storage import PARTS, Storage
from models import Track
from repos import TrackRepository
from tests.conftest import Server, wait_for
from tests.sounds import RATE, wav_bytes
from tests.test_storage import everything

tracks = TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def test_an_mp3_is_made_once_and_kept(client: FlaskClient, storage: Storage, song: bytes) -> None:
    first = client.get("/api/tracks/track-1/audio?format=mp3")
    kept = storage.derived(storage.root / "song.wav", "mp3")
    made = kept.stat().st_mtime_ns
    again = client.get("/api/tracks/track-1/audio?format=mp3")
    assert (first.status_code, first.mimetype, again.data) == (200, "audio/mpeg", first.data)
    assert kept.stat().st_mtime_ns == made and probe(kept)["frames"] == RATE
    assert not list((storage.root / PARTS).iterdir())


def test_a_new_wav_gets_a_new_mp3(client: FlaskClient, storage: Storage, song: bytes) -> None:
    client.get("/api/tracks/track-1/audio?format=mp3")
    (storage.root / "song.wav").write_bytes(wav_bytes(2))
    client.get("/api/tracks/track-1/audio?format=mp3")
    assert probe(storage.derived(storage.root / "song.wav", "mp3"))["frames"] == 2 * RATE


@pytest.mark.parametrize("place", ["audio?format=mp3", "waveform.json", "waveform.svg"])
def test_a_file_that_is_no_sound_says_so(client: FlaskClient, storage: Storage, track: Track, place: str) -> None:
    (storage.root / "song.wav").write_text("no sound")
    tracks.update("track-1", file_path_wav="song.wav")
    answer = client.get(f"/api/tracks/track-1/{place}")
    assert answer.status_code == 404 and "not audio that can be decoded" in answer.json["detail"]
    assert str(storage.root) not in answer.text and not list((storage.root / PARTS).iterdir())


def test_a_waveform_has_as_many_points_as_are_asked_for(client: FlaskClient, storage: Storage, song: bytes) -> None:
    drawn = client.get("/api/tracks/track-1/waveform.json?points=10").json
    assert drawn["duration"] == 1 and len(drawn["peaks"]) == 10 and -25 < drawn["loudness"] < -10
    assert all(-1 <= low < 0 < high <= 1 for low, high in drawn["peaks"])
    assert storage.derived(storage.root / "song.wav", "waveform.json").exists()
    assert client.get("/api/tracks/track-1/waveform.json?points=2001").status_code == 400


def test_a_waveform_is_a_picture(client: FlaskClient, song: bytes) -> None:
    answer = client.get("/api/tracks/track-1/waveform.svg?points=20")
    picture = ElementTree.fromstring(answer.data)
    assert answer.mimetype == "image/svg+xml" and picture.attrib["viewBox"] == "0 0 1000 120"
    assert "prefers-color-scheme:dark" in answer.text
    again = client.get("/api/tracks/track-1/waveform.svg?points=20", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_a_waveform_does_not_outlive_its_track(
    client: FlaskClient, storage: Storage, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put("/api/tracks/track-1/audio", data=wav_bytes())
    run = Derivatives._run

    def deleted_meanwhile(self: Derivatives, module: str, *arguments: str | Path, **options: str) -> str:
        said = run(self, module, *arguments, **options)
        assert client.delete("/api/tracks/track-1?files=true").status_code == 204
        return said

    monkeypatch.setattr(Derivatives, "_run", deleted_meanwhile)
    assert client.get("/api/tracks/track-1/waveform.json").status_code == 404
    assert not storage.folder("track", "track-1").exists() and not list((storage.root / PARTS).iterdir())


def test_a_track_is_served_without_its_waveform_where_none_can_be_kept(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    (storage.root / DERIVED).write_text("a file where a folder must be")
    answer = client.get("/api/tracks/track-1/waveform.json")
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable") and "log says why" in answer.json["detail"]
    assert client.get("/api/tracks/track-1/audio").data == song and not list((storage.root / PARTS).iterdir())


def test_a_waveform_on_a_read_only_disk_says_what_to_do(
    client: FlaskClient, storage: Storage, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", read_only)
    answer = client.get("/api/tracks/track-1/waveform.svg")
    assert answer.status_code == 503 and "Mount it for writing" in answer.json["detail"]


def test_deleting_a_track_leaves_a_file_that_is_named_like_a_derived_one(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    (storage.root / "song.wav.mp3").write_bytes(wav_bytes(2, "MP3"))
    tracks.create(track_id="other", job_id="job-1", file_path_mp3="song.wav.mp3")
    client.get("/api/tracks/track-1/audio?format=mp3")
    assert client.delete("/api/tracks/track-1?files=true").status_code == 204
    assert client.get("/api/tracks/other/audio").data == wav_bytes(2, "MP3")


def test_two_records_that_name_one_file_share_what_is_derived_from_it(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    tracks.create(track_id="other", job_id="job-1", file_path_wav=str(storage.root / "song.wav"))
    for track_id in ("track-1", "other"):
        assert client.get(f"/api/tracks/{track_id}/waveform.json").status_code == 200
    shared = storage.derived(storage.root / "song.wav", "waveform.json")
    assert [path for path in everything(storage.root / DERIVED) if path.is_file()] == [shared]
    client.delete("/api/tracks/track-1?files=true")
    assert shared.exists()
    client.delete("/api/tracks/other?files=true")
    assert not everything(storage.root / DERIVED)


def test_a_service_that_is_killed_leaves_no_part_of_an_mp3(server: Callable[..., Server]) -> None:
    running = server().start()
    (running.storage / "song.wav").write_bytes(wav_bytes(300))
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t", "file_path_wav": "song.wav"})
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"GET /api/tracks/t/audio?format=mp3 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_for(lambda: any(part.stat().st_size for part in (running.storage / PARTS).glob("*")), 20)
        running.signal_all(9)
    assert not (running.storage / DERIVED).exists()
    running.start()
    status, mp3 = running.call("GET", "/api/tracks/t/audio?format=mp3")
    assert status == 200 and soundfile.info(io.BytesIO(mp3)).frames == 300 * RATE
