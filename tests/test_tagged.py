"""Files to take away: MP3, FLAC and WAV with the tags and the cover of the moment, made on the first download."""

import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from flask.testing import FlaskClient
from tinytag import TinyTag

from database import database
from errors import Busy
from files.cache import DERIVED, sweep
from files.derived import Derivatives, Recipe
from files.pictures import read_header
from files.sound import encode_flac
from files.storage import PARTS, Storage
from models import Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository
from tests.conftest import KINDS, Server
from tests.sounds import RATE, wav_bytes
from tests.test_covers import png
from tests.test_storage import everything
from tests.test_tags import WRONG, frames

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
LRC = "[00:01.50]The platform hums\n[01:02.25]a quiet key"
FORMATS = ("mp3", "flac", "wav")


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def download(client: FlaskClient, kind: str) -> Any:
    """The answer for track-1."""
    return client.get(f"/api/tracks/track-1/download?format={kind}")


def read(client: FlaskClient, kind: str) -> TinyTag:
    """The tags of a download, by another library than the one that wrote them."""
    return TinyTag.get(filename=f"x.{kind}", file_obj=io.BytesIO(download(client, kind).data), image=True)


def stored(storage: Storage) -> list[Path]:
    """The downloads in the cache."""
    return [path for path in everything(storage.root / DERIVED) if ".tagged-" in path.name]


@pytest.mark.measured
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_download_has_the_tags_of_this_moment(client: FlaskClient, song: bytes, form: str) -> None:
    jobs.update("job-1", metadata={"genre": "Folk", "lyrics": LRC, "album": "Tides"}, takes=4)
    fields = {"title": "Low tide", "metadata": {"artist": "Ada"}, "seed": 7, "provenance": {"generator": "yue"}}
    tracks.create(track_id="take", job_id="job-1", take=2, file_path_wav="song.wav", **fields)
    loops.create(loop_id="l", track_id="take", duration=30)
    answer = client.get(f"/api/tracks/take/download?format={form}")
    tags = TinyTag.get(filename=f"x.{form}", file_obj=io.BytesIO(answer.data), image=True)
    assert (tags.title, tags.artist, tags.album, tags.genre) == ("Low tide", "Ada", "Tides", "Folk")
    assert (tags.track, tags.track_total) == (2, 4) and "a quiet key" in tags.other["lyrics"][0]
    assert json.loads(tags.comment or "") == {"generator": "yue", "seed": 7} and "bpm" not in tags.other
    cover = read_header(io.BytesIO(tags.images.front_cover.data))
    assert cover is not None and (cover.kind, cover.width) == ("image/png", 800)
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="Low tide.{form}"')


def test_the_tempo_is_that_of_the_newest_loop_with_one(client: FlaskClient, song: bytes) -> None:
    for number, tempo in enumerate([97.4, 121.6, None, "fast", float(10**9), True]):
        loops.create(loop_id=f"l{number}", track_id="track-1", duration=30)
        Loop.update(status="COMPLETED", analysis={"tempo": tempo}).where(Loop.loop_id == f"l{number}").execute()
    assert read(client, "mp3").other["bpm"] == ["122"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_sound_of_a_file_of_this_kind_stays_byte_for_byte(
    client: FlaskClient, storage: Storage, song: bytes, tmp_path: Path, form: str
) -> None:
    (storage.root / "song.mp3").write_bytes(wav_bytes(2, "MP3"))
    tracks.update("track-1", file_path_mp3="song.mp3")
    path = tmp_path / f"x.{form}"
    path.write_bytes(download(client, form).data)
    if form != "flac":
        assert frames(path) == frames(storage.root / f"song.{form}") and path.read_bytes() != song
    assert (storage.root / "song.wav").read_bytes() == song
    assert client.get("/api/tracks/track-1/audio").data == song


@pytest.mark.parametrize("form", FORMATS)
def test_a_track_that_has_only_an_mp3_has_all_formats(
    client: FlaskClient, storage: Storage, track: Track, form: str
) -> None:
    (storage.root / "song.mp3").write_bytes(wav_bytes(2, "MP3"))
    tracks.update("track-1", file_path_mp3="song.mp3")
    sound, rate = soundfile.read(io.BytesIO(download(client, form).data))
    assert len(sound) == 2 * rate == 2 * RATE


def test_a_download_is_made_once_and_again_when_a_tag_or_the_cover_changes(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    first = download(client, "mp3")
    assert download(client, "mp3").headers["ETag"] == first.headers["ETag"] and len(stored(storage)) == 1
    tracks.star_all(["track-1"], True)
    assert download(client, "mp3").data == first.data and len(stored(storage)) == 1
    client.patch("/api/tracks/track-1", json={"title": "Low tide"})
    assert read(client, "mp3").title == "Low tide" and len(stored(storage)) == 2
    client.put("/api/tracks/track-1/cover", data=png())
    assert read(client, "mp3").images.front_cover.data == png() and len(stored(storage)) == 3
    jobs.update("job-1", metadata={"lyrics": "rain"})
    assert read(client, "mp3").other["lyrics"] == ["rain"] and len(stored(storage)) == 4
    client.delete("/api/tracks/track-1/cover")
    assert len(read(client, "mp3").images.front_cover.data) > 10_000
    assert not list((storage.root / PARTS).iterdir())


def test_downloads_are_swept_after_a_day_and_go_with_their_track(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    download(client, "flac")
    sweep(storage.root)
    [path] = stored(storage)
    os.utime(path, (0, 0))
    sweep(storage.root)
    assert stored(storage) == []
    download(client, "flac")
    assert client.delete("/api/tracks/track-1?files=true").status_code == 204
    assert not everything(storage.root / DERIVED)


def test_two_tracks_of_one_file_have_their_own_downloads(client: FlaskClient, storage: Storage, song: bytes) -> None:
    tracks.create(track_id="other", job_id="job-1", file_path_wav="song.wav", title="Other")
    client.get("/api/tracks/other/download")
    assert read(client, "mp3").title == "ambient rain, soft piano" and len(stored(storage)) == 2


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_wav_with_wrong_lengths_is_written_anew_with_its_tags(
    client: FlaskClient, storage: Storage, song: bytes, content: bytes
) -> None:
    (storage.root / "song.wav").write_bytes(content)
    assert read(client, "wav").title == "ambient rain, soft piano"


@pytest.mark.measured
def test_what_cannot_be_decoded_or_is_not_there_says_so(client: FlaskClient, storage: Storage, track: Track) -> None:
    assert download(client, "mp3").status_code == 404 and download(client, "ogg").status_code == 400
    (storage.root / "song.wav").write_text("no sound")
    tracks.update("track-1", file_path_wav="song.wav")
    assert "not audio that can be decoded" in download(client, "wav").json["detail"]


def test_a_track_whose_cover_cannot_be_drawn_can_be_downloaded(
    client: FlaskClient, storage: Storage, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.tagged.drawn_cover", lambda title: Recipe("cover-x.png", ("no_such_module",)))
    tags = read(client, "mp3")
    assert tags.title == "ambient rain, soft piano" and not tags.images.any
    assert not list((storage.root / PARTS).iterdir())


def test_a_download_waits_for_a_cover_that_can_be_drawn_later(
    client: FlaskClient, song: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Derivatives._run

    def killed(self: Derivatives, module: str, *arguments: Any, **options: str) -> str:
        if module == "files.drawing":
            raise Busy("killed")
        return run(self, module, *arguments, **options)

    monkeypatch.setattr(Derivatives, "_run", killed)
    assert download(client, "mp3").status_code == 503


@pytest.mark.parametrize("lyrics", ["\udfff rain", "[00:01.00]\x00 rain", "x" * 900_000])
def test_odd_lyrics_break_no_download(client: FlaskClient, song: bytes, lyrics: str) -> None:
    database.execute_sql("UPDATE job SET metadata = ?", [json.dumps({"lyrics": lyrics})])
    assert read(client, "mp3").title == "ambient rain, soft piano"


@pytest.mark.parametrize(
    ("subtype", "bits"), [("PCM_16", 16), ("PCM_U8", 16), ("PCM_24", 24), ("PCM_32", 24), ("FLOAT", 24)]
)
def test_a_flac_has_exactly_the_samples_of_the_wav(tmp_path: Path, subtype: str, bits: int) -> None:
    edges = [0, 1, -1, 2**31 - 2**8, -(2**31), 2**16, 12345 << 16, -(999 << 8)]
    samples = np.array([*edges, *np.random.default_rng(1).integers(-(2**31), 2**31 - 2**8, 5000)], np.int32)
    samples = samples >> (32 - bits) << (32 - bits)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype=subtype)
    encode_flac(tmp_path / "a.wav", tmp_path / "a.flac")
    assert soundfile.info(tmp_path / "a.flac").subtype == f"PCM_{bits}"
    before, _ = soundfile.read(tmp_path / "a.wav")
    after, _ = soundfile.read(tmp_path / "a.flac")
    assert np.array_equal(before.clip(-1, 1 - 2 ** (1 - bits)), after)


def test_a_flac_of_many_channels_has_eight(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((100, 12), 0.5, np.float32), RATE)
    encode_flac(tmp_path / "a.wav", tmp_path / "a.flac")
    assert soundfile.info(tmp_path / "a.flac").channels == 8


def test_a_player_can_seek_in_a_download_of_a_server(server: Callable[..., Server]) -> None:
    running = server().start()
    (running.storage / "song.wav").write_bytes(wav_bytes(3))
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t", "file_path_wav": "song.wav"})
    status, flac = running.call("GET", "/api/tracks/t/download?format=flac")
    assert status == 200 and soundfile.info(io.BytesIO(flac)).frames == 3 * RATE
    command = ["curl", "-sr", "10-19", f"{running.url}/api/tracks/t/download?format=flac"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == flac[10:20]
