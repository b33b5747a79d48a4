"""After an upload: what goes from the folder of its track, what stays, and what a killed process leaves."""

import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from peewee import OperationalError

from files.leftovers import remove_leftovers
from files.pending import PENDING
from files.storage import Storage
from models import Track
from repos import JobRepository, TrackRepository
from tests.conftest import on_sqlite
from tests.sounds import wav_bytes

tracks = TrackRepository()
STALE = {"If-Match": '"1"'}


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


@pytest.fixture
def folder(storage: Storage, track: Track) -> Path:
    """The folder of track-1, with a cover and with a stem that its job names."""
    made = storage.folder("track", "track-1")
    made.mkdir(parents=True)
    (made / "cover.jpg").write_bytes(b"picture")
    (made / "stem.wav").write_bytes(wav_bytes())
    JobRepository().update("job-1", file_manifest={"stem": "tracks/track-1/stem.wav"})
    return made


def upload(client: FlaskClient, seconds: int) -> str:
    """Upload a sound for track-1; returns the name of its file."""
    answer = client.put("/api/tracks/track-1/audio", data=wav_bytes(seconds))
    assert answer.status_code == 200, answer.text
    return Path(answer.json["file_path_wav"]).name


def age_notes(storage: Storage) -> None:
    """Make all notes old enough for housekeeping."""
    for note in (storage.root / PENDING).iterdir():
        os.utime(note, (0, 0))


def names(folder: Path) -> set[str]:
    """The names of the files in a folder."""
    return {path.name for path in folder.iterdir()}


def test_an_upload_leaves_what_was_not_uploaded(client: FlaskClient, folder: Path) -> None:
    upload(client, 1)
    later = upload(client, 2)
    assert names(folder) == {"cover.jpg", "stem.wav", later}


@on_sqlite
def test_an_upload_replaces_a_file_that_a_script_put_there(client: FlaskClient, folder: Path) -> None:
    (folder / "mine.wav").write_bytes(wav_bytes())
    tracks.update("track-1", file_path_wav="tracks/track-1/mine.wav")
    later = upload(client, 2)
    assert names(folder) == {"cover.jpg", "stem.wav", later}


@on_sqlite
def test_a_refused_upload_removes_only_itself(client: FlaskClient, folder: Path) -> None:
    earlier = upload(client, 1)
    tracks.update("track-1", file_path_wav=None)
    assert client.put("/api/tracks/track-1/audio", data=wav_bytes(2), headers=STALE).status_code == 412
    assert names(folder) == {"cover.jpg", "stem.wav", earlier}


def test_an_upload_is_no_error_when_the_database_goes_away_after_it(
    client: FlaskClient, storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_connection(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    earlier = upload(client, 1)
    with monkeypatch.context() as patched:
        patched.setattr("files.settling.named", lose_the_connection)
        later = upload(client, 2)
        refused = client.put("/api/tracks/track-1/audio", data=wav_bytes(3), headers=STALE)
    assert refused.status_code == 412 and names(folder) > {earlier, later, "cover.jpg", "stem.wav"}
    age_notes(storage)
    remove_leftovers(storage)
    assert names(folder) == {"cover.jpg", "stem.wav", later} and not names(storage.root / PENDING)


@pytest.mark.parametrize("step", ["files.tracks.settle", "files.settling.named", "files.storage.Storage.remove"])
def test_a_process_killed_after_an_upload_leaves_the_earlier_one_to_housekeeping(
    client: FlaskClient, storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    upload(client, 1)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(step, die)
        upload(client, 2)
    age_notes(storage)
    remove_leftovers(storage)
    later = Path(str(tracks.get_by_id("track-1").file_path_wav)).name
    assert names(folder) == {"cover.jpg", "stem.wav", later} and not names(storage.root / PENDING)


@on_sqlite
def test_an_upload_leaves_another_one_that_is_pending(
    client: FlaskClient, storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = TrackRepository.update

    def update_during_another_upload(*arguments: Any, **changes: Any) -> Any:
        monkeypatch.undo()
        before = names(folder)
        inner = upload(client, 2)
        assert names(folder) == before | {inner}
        return update(*arguments, **changes)

    monkeypatch.setattr(TrackRepository, "update", update_during_another_upload)
    later = upload(client, 1)
    assert names(folder) == {"cover.jpg", "stem.wav", later}
