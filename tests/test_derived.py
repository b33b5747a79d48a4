"""Derived files: the MP3 and the waveform made of a sound file, over REST."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from files.derived import Derivatives
from files.sound import probe
from files.storage import PARTS, Storage, derived
from models import Track
from repos import TrackRepository
from tests.sounds import RATE, wav_bytes

tracks = TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def test_an_mp3_is_made_once_and_kept(client: FlaskClient, storage: Storage, song: bytes) -> None:
    first = client.get("/api/tracks/track-1/audio?format=mp3")
    kept = derived(storage.root / "song.wav")["mp3"]
    made = kept.stat().st_mtime_ns
    again = client.get("/api/tracks/track-1/audio?format=mp3")
    assert (first.status_code, first.mimetype, again.data) == (200, "audio/mpeg", first.data)
    assert kept.stat().st_mtime_ns == made and probe(kept)["frames"] == RATE
    assert not list((storage.root / PARTS).iterdir())


def test_a_new_wav_gets_a_new_mp3(client: FlaskClient, storage: Storage, song: bytes) -> None:
    client.get("/api/tracks/track-1/audio?format=mp3")
    (storage.root / "song.wav").write_bytes(wav_bytes(2))
    client.get("/api/tracks/track-1/audio?format=mp3")
    assert probe(derived(storage.root / "song.wav")["mp3"])["frames"] == 2 * RATE


@pytest.mark.parametrize("place", ["audio?format=mp3", "waveform.json", "waveform.svg"])
def test_a_file_that_is_no_sound_says_so(client: FlaskClient, storage: Storage, track: Track, place: str) -> None:
    (storage.root / "song.wav").write_text("no sound")
    tracks.update("track-1", file_path_wav="song.wav")
    answer = client.get(f"/api/tracks/track-1/{place}")
    assert answer.status_code == 404 and "not audio that can be decoded" in answer.json["detail"]
    assert str(storage.root) not in answer.text and not list((storage.root / PARTS).iterdir())


def test_a_waveform_has_as_many_points_as_are_asked_for(client: FlaskClient, storage: Storage, song: bytes) -> None:
    found = client.get("/api/tracks/track-1/waveform.json?points=10").json
    assert found["duration"] == 1 and len(found["peaks"]) == 10
    assert all(-1 <= low < 0 < high <= 1 for low, high in found["peaks"])
    assert derived(storage.root / "song.wav")["peaks"].exists()
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

    def deleted_meanwhile(self: Derivatives, verb: str, *paths: Path) -> str:
        said = run(self, verb, *paths)
        assert client.delete("/api/tracks/track-1?files=true").status_code == 204
        return said

    monkeypatch.setattr(Derivatives, "_run", deleted_meanwhile)
    assert client.get("/api/tracks/track-1/waveform.json").status_code == 404
    assert not storage.folder("track", "track-1").exists() and not list((storage.root / PARTS).iterdir())
