"""Spellings of a path: a record may name a file in three ways, and a file that can be served so is never removed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from database import release
from files.deletion import named
from files.storage import Storage
from models import Track
from repos import TrackRepository
from settings import Settings
from tests.sounds import wav_bytes

GOOD = ["{relative}", "{real}/{relative}", "{linked}/{relative}"]
ODD = [
    "./{relative}",
    "tracks/../{relative}",
    "tracks//mine/a.wav",
    "tracks/./mine/a.wav",
    "{relative}/",
    "{real}/../output/{relative}",
    "/{real}/{relative}",
    "{other}/{relative}",
    "inner/mine/a.wav",
]
tracks = TrackRepository()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with a storage folder behind a link."""
    (tmp_path / "real" / "output").mkdir(parents=True)
    for link in ("linked", "other"):
        (tmp_path / link).symlink_to(tmp_path / "real")
    return Settings(_env_file=None, database_url=database_url, storage_dir=tmp_path / "linked" / "output")


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    """A client of an app with that folder."""
    app = create_app(settings)
    yield app.test_client()
    app.extensions["ledger"].close()
    release()


@pytest.fixture
def storage(settings: Settings) -> Storage:
    """The storage folder, with a file of track mine in it."""
    made = Storage(settings)
    made.folder("track", "mine").mkdir(parents=True)
    (made.folder("track", "mine") / "a.wav").write_bytes(wav_bytes())
    (made.root / "inner").symlink_to(made.root / "tracks")
    return made


@pytest.fixture
def record(client: FlaskClient) -> Track:
    """The track mine, which names no file yet."""
    client.post("/api/jobs", json={"job_id": "j", "prompt": "p"})
    return tracks.create(track_id="mine", job_id="j")


def spelled(spelling: str, storage: Storage, tmp_path: Path) -> str:
    """The path of the file of track mine in one spelling."""
    links = {name: str(tmp_path / name / "output") for name in ("linked", "other")}
    return spelling.format(relative="tracks/mine/a.wav", real=storage.root, **links)


@pytest.mark.parametrize("spelling", GOOD)
def test_a_file_that_is_served_outlives_a_refused_upload(
    client: FlaskClient, record: Track, storage: Storage, tmp_path: Path, spelling: str
) -> None:
    tracks.update("mine", file_path_wav=spelled(spelling, storage, tmp_path))
    stale = client.put("/api/tracks/mine/audio", data=wav_bytes(2), headers={"If-Match": '"1"'})
    assert stale.status_code == 412 and client.get("/api/tracks/mine/audio").data == wav_bytes()


@pytest.mark.parametrize("spelling", GOOD)
def test_a_file_that_is_served_outlives_the_deletion_of_its_first_record(
    client: FlaskClient, record: Track, storage: Storage, tmp_path: Path, spelling: str
) -> None:
    tracks.update("mine", file_path_wav="tracks/mine/a.wav")
    tracks.create(track_id="twin", job_id="j", file_path_wav=spelled(spelling, storage, tmp_path))
    assert client.delete("/api/tracks/mine?files=true").status_code == 204
    assert client.get("/api/tracks/twin/audio").data == wav_bytes()


@pytest.mark.parametrize("spelling", GOOD + ODD)
def test_what_can_be_served_is_what_is_looked_up(
    client: FlaskClient, record: Track, storage: Storage, tmp_path: Path, spelling: str
) -> None:
    tracks.update("mine", file_path_wav=spelled(spelling, storage, tmp_path))
    status = client.get("/api/tracks/mine/audio").status_code
    file = storage.folder("track", "mine") / "a.wav"
    assert (status, named(storage, [file])) == ((200, {file}) if spelling in GOOD else (404, set()))
