"""The texts in GET /api/tracks.zip: a playlist, lyrics with and without times, and what made each track."""

import io
import json
import zipfile
from typing import Any

import pytest
from flask.testing import FlaskClient

from database import database
from files.storage import Storage
from models import Job
from repos import JobRepository, TrackRepository
from tests.conftest import on_sqlite

jobs, tracks = JobRepository(), TrackRepository()
LRC = "[ti:Rain]\n[00:01.50]The platform hums\n[01:02.256]a quiet key\n"


def archive(client: FlaskClient, query: str = "") -> zipfile.ZipFile:
    """The archive of this query."""
    return zipfile.ZipFile(io.BytesIO(client.get(f"/api/tracks.zip?{query}").data))


def read(packed: zipfile.ZipFile, name: str) -> str:
    """A text of an archive."""
    return packed.read(name).decode()


@pytest.fixture
def takes(storage: Storage, job: Job) -> None:
    """Two takes of job-1, the second made first."""
    for take in (2, 1):
        (storage.root / f"{take}.wav").write_bytes(b"sound")
        fields: dict[str, Any] = {"seed": 2**32 - take, "duration": 95.6, "provenance": {"generator": "synth"}}
        tracks.create(track_id=f"t{take}", job_id="job-1", take=take, file_path_wav=f"{take}.wav", **fields)


def test_the_playlist_has_the_sounds_in_their_order(client: FlaskClient, takes: None) -> None:
    tracks.update("t2", title="Night\ntrain", duration=None)
    packed = archive(client, "job_id=job-1")
    files = ["1 ambient rain, soft piano (take 1).wav", "2 Night train (take 2).wav"]
    expected = ["#EXTM3U", "#EXTINF:96,ambient rain, soft piano", files[0], "#EXTINF:-1,Night train", files[1], ""]
    assert read(packed, "playlist.m3u8").split("\n") == expected
    assert packed.namelist() == [*files, "playlist.m3u8", "tracks.json"]


def test_lyrics_lie_beside_each_song_with_times_if_they_have_some(client: FlaskClient, takes: None) -> None:
    jobs.update("job-1", metadata={"lyrics": LRC})
    packed = archive(client)
    lyrics = [name for name in packed.namelist() if name.endswith(".lrc")]
    assert lyrics == [name.replace(".wav", ".lrc") for name in packed.namelist() if name.endswith(".wav")]
    assert read(packed, lyrics[0]) == "[00:01.50]The platform hums\n[01:02.26]a quiet key\n"
    jobs.update("job-1", metadata={"lyrics": "The platform hums\n"})
    packed = archive(client)
    [first, _] = [name for name in packed.namelist() if name.endswith(".txt")]
    assert read(packed, first) == "The platform hums\n"


def test_the_facts_say_what_made_each_song(client: FlaskClient, takes: None) -> None:
    facts = json.loads(read(archive(client, "job_id=job-1"), "tracks.json"))
    assert [(fact["file"][:1], fact["track_id"], fact["take"], fact["seed"]) for fact in facts] == [
        ("1", "t1", 1, 2**32 - 1),
        ("2", "t2", 2, 2**32 - 2),
    ]
    order = {"job_type": "diffrhythm", "prompt": "ambient rain, soft piano", "metadata": {"genre": "Ambient"}}
    assert facts[0]["order"] == order
    assert (facts[0]["job_id"], facts[0]["provenance"]) == ("job-1", {"generator": "synth"})


@on_sqlite
@pytest.mark.parametrize("lyrics", ["\ud800 sung", 7, ["la"], {"a": "b"}, "", "\x00"])
def test_odd_lyrics_break_no_archive(client: FlaskClient, takes: None, lyrics: Any) -> None:
    database.execute_sql("UPDATE job SET metadata = ?", [json.dumps({"lyrics": lyrics})])
    packed = archive(client)
    assert packed.testzip() is None and "tracks.json" in packed.namelist()
