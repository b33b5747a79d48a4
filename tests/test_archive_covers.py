"""The covers in GET /api/tracks.zip: which are in it, and where they are drawn."""

import io
import zipfile
from threading import current_thread

import pytest
from flask.testing import FlaskClient

from files.storage import PARTS, Storage
from repos import TrackRepository
from tests.test_archive_of_tracks import names
from tests.test_covers import jpeg
from web.archive import pack

tracks = TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite: files are the same on both."""
    return "sqlite"


def test_covers_lie_beside_their_tracks(client: FlaskClient, storage: Storage, song: bytes) -> None:
    tracks.create(track_id="t2", job_id="job-1", title="Low tide", file_path_wav="song.wav")
    client.put("/api/tracks/track-1/cover", data=jpeg())
    made = names(client.get("/api/tracks.zip?track_id=t2&track_id=track-1"))
    stems = ["1 Low tide", "2 ambient rain, soft piano"]
    assert made == [*(f"{stem}.wav" for stem in stems), f"{stems[0]}.png", f"{stems[1]}.jpg"]
    with zipfile.ZipFile(io.BytesIO(client.get("/api/tracks.zip?track_id=t2&track_id=track-1").data)) as archive:
        assert archive.read("1 Low tide.png") == client.get("/api/tracks/t2/cover").data
        assert archive.read("2 ambient rain, soft piano.jpg") == jpeg()
    assert not [path for path in (storage.root / PARTS).iterdir()]


def test_an_archive_does_not_wait_long_for_its_covers(
    client: FlaskClient, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.api.archive.DRAWING_SECONDS", -1.0)
    assert names(client.get("/api/tracks.zip")) == ["1 ambient rain, soft piano.wav"]


def test_an_archive_is_packed_where_nothing_waits_for_it(
    client: FlaskClient, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = list[str]()
    monkeypatch.setattr("web.api.archive.pack", lambda *chosen: threads.append(current_thread().name) or pack(*chosen))
    assert client.head("/api/tracks.zip").status_code == 200 and threads.pop() != "batches_0"
    assert len(names(client.get("/api/tracks.zip"))) == 2 and threads.pop() == "batches_0"
    assert len(names(client.get("/api/tracks.zip"))) == 2 and threads.pop() != "batches_0"


def test_an_archive_has_no_new_covers_while_many_are_drawn(
    client: FlaskClient, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("files.derived.Derivatives.make_all", lambda *_: None)
    assert names(client.get("/api/tracks.zip")) == ["1 ambient rain, soft piano.wav"]
