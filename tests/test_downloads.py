"""Playing and saving the sound of tracks and loops over REST."""

import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_options_header

from files.storage import Storage
from models import Loop, Track
from repos import LoopRepository, TrackRepository
from tests.conftest import ROOT, Server
from tests.service import UNMEASURED
from tests.sounds import wav_bytes
from web.downloads import disposition

tracks, loops = TrackRepository(), LoopRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def test_a_track_is_played_whole_or_by_range(client: FlaskClient, song: bytes) -> None:
    whole = client.get("/api/tracks/track-1/audio")
    part = client.get("/api/tracks/track-1/audio", headers={"Range": "bytes=100-199"})
    tail = client.get("/api/tracks/track-1/audio", headers={"Range": "bytes=-50"})
    rest = client.get("/api/tracks/track-1/audio", headers={"Range": f"bytes={len(song) - 7}-"})
    assert (whole.status_code, whole.data, whole.mimetype) == (200, song, "audio/wav")
    assert (part.status_code, part.data) == (206, song[100:200])
    assert (tail.data, rest.data) == (song[-50:], song[-7:])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(song)}"
    assert whole.headers["X-Content-Type-Options"] == "nosniff" and whole.headers["Accept-Ranges"] == "bytes"


def test_the_last_bytes_of_a_short_file_are_all_of_it(client: FlaskClient, song: bytes) -> None:
    answer = client.get("/api/tracks/track-1/audio", headers={"Range": "bytes=-99999999"})
    assert (answer.status_code, answer.data) == (206, song)


def test_a_range_beyond_the_end_is_refused(client: FlaskClient, song: bytes) -> None:
    answer = client.get("/api/tracks/track-1/audio", headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416 and answer.headers["Content-Range"] == f"bytes */{len(song)}"


@pytest.mark.parametrize("sent", ["bytes=-0", "bytes=-000", "Bytes = -0"])
def test_the_last_no_bytes_are_refused(client: FlaskClient, song: bytes, sent: str) -> None:
    answer = client.get("/api/tracks/track-1/audio", headers={"Range": sent})
    assert answer.status_code == 416 and answer.headers["Content-Range"] == f"bytes */{len(song)}"


@pytest.mark.parametrize("sent", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=1-2,5-6", "bytes", ""])
def test_a_range_that_is_none_is_ignored(client: FlaskClient, song: bytes, sent: str) -> None:
    answer = client.get("/api/tracks/track-1/audio", headers={"Range": sent})
    assert (answer.status_code, answer.data) == (200, song)


def test_a_client_that_has_it_gets_304_and_one_whose_part_is_old_gets_all(client: FlaskClient, song: bytes) -> None:
    etag = client.get("/api/tracks/track-1/audio").headers["ETag"]
    url, ranged = "/api/tracks/track-1/audio", {"Range": "bytes=0-9"}
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(url, headers={**ranged, "If-Range": etag}).status_code == 206
    assert client.get(url, headers={**ranged, "If-Range": '"other"'}).data == song


def test_head_tells_the_length_alone(client: FlaskClient, song: bytes) -> None:
    answer = client.head("/api/tracks/track-1/audio")
    assert (answer.status_code, answer.data, answer.content_length) == (200, b"", len(song))


@pytest.mark.parametrize(
    ("title", "saved"),
    [
        ("Rain", "Rain.wav"),
        ('a "quoted" title', "a quoted title.wav"),
        ("two\r\nX-Evil: 1\nlines", "two X-Evil 1 lines.wav"),
        ("民谣 — 木吉他", "民谣 — 木吉他.wav"),
        ("../../etc/passwd", "etc passwd.wav"),
        ("\ud800 \u202egnp.exe", "gnp.exe.wav"),
        ("...", "track.wav"),
        ("%41;'x", "%41;'x.wav"),
        ("x" * 5000, f"{'x' * 100}.wav"),
    ],
)
def test_a_download_name_survives_any_title(title: str, saved: str) -> None:
    header = disposition(title, "wav")
    assert header.isascii() and header.isprintable()
    value, told = parse_options_header(header)
    assert (value, told["filename"]) == ("inline", saved)


def test_a_track_is_saved_by_its_name_or_the_prompt_of_its_job(client: FlaskClient, song: bytes) -> None:
    by_prompt = client.get("/api/tracks/track-1/audio").headers["Content-Disposition"]
    tracks.update("track-1", metadata={"track_name": "民谣"})
    by_name = client.get("/api/tracks/track-1/audio").headers["Content-Disposition"]
    assert 'filename="ambient rain, soft piano.wav"' in by_prompt
    assert parse_options_header(by_name)[1]["filename"] == "民谣.wav"


@pytest.mark.parametrize("query", ["", "?format=wav", "?format=mp3"])
def test_a_track_without_a_file_says_what_to_do(client: FlaskClient, track: Track, query: str) -> None:
    answer = client.get(f"/api/tracks/track-1/audio{query}")
    assert answer.status_code == 404 and "upload one" in answer.json["detail"]


def test_a_completed_loop_is_played(client: FlaskClient, storage: Storage, loop: Loop) -> None:
    assert client.get("/api/loops/loop-1/audio").status_code == 404
    (storage.root / "loop.mp3").write_bytes(wav_bytes(1, "MP3"))
    loops.update("loop-1", status="COMPLETED", result_path="loop.mp3")
    answer = client.get("/api/loops/loop-1/audio")
    assert (answer.status_code, answer.mimetype) == (200, "audio/mpeg")
    assert parse_options_header(answer.headers["Content-Disposition"])[1]["filename"].endswith("(loop, 120 s).mp3")


def test_slow_readers_hold_little_memory_and_nobody_up(server: Callable[..., Server]) -> None:
    running = server(**UNMEASURED).start()
    (running.storage / "song.wav").write_bytes(bytes(20_000_000))
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t", "file_path_wav": "song.wav"})
    before, readers = running.memory(), [slow_reader(running) for _ in range(100)]
    assert running.call("GET", "/api/tracks/t/audio") == (200, bytes(20_000_000))
    assert running.memory() - before < 60_000_000
    for reader in readers:
        reader.close()


def slow_reader(running: Server) -> socket.socket:
    """A connection that asks for a file and reads nothing."""
    reader = socket.create_connection(("127.0.0.1", running.port))
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.sendall(b"GET /api/tracks/t/audio HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return reader


def test_the_web_process_loads_no_numpy(app: Flask) -> None:
    code = "import sys, app; print([name for name in ('numpy', 'soundfile', 'soxr', 'studio') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]", ended.stderr


def types(record: dict[str, Any]) -> set[str]:
    """The names of a record's urls."""
    return set(record["urls"])


def test_the_urls_of_a_record_tell_whether_it_has_sound(client: FlaskClient, song: bytes, loop: Loop) -> None:
    assert {"audio", "waveform"} <= types(client.get("/api/tracks/track-1").json)
    tracks.update("track-1", file_path_wav=None)
    assert not {"audio", "waveform"} & types(client.get("/api/tracks/track-1").json)
    assert "audio" not in types(client.get("/api/loops/loop-1").json)
