"""The sound of tracks and loops over REST, and what decodes it."""

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_options_header

from files import sound
from files.derived import Derivatives
from files.sound import Sink, Source, Unusable, encode, peaks, probe
from files.storage import PARTS, Storage, derived
from models import Job, Loop, Track
from repos import LoopRepository, TrackRepository
from tests.conftest import KINDS, ROOT, Server, wait_for
from tests.test_storage import ATTACKS, everything
from web.downloads import disposition

RATE = 8000
tracks, loops = TrackRepository(), LoopRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def noise(seconds: float = 1.0, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """Quiet noise, the same each time; (frames, channels)."""
    return np.random.default_rng(7).normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)


def wav_bytes(seconds: float = 1.0, kind: str = "WAV", rate: int = RATE) -> bytes:
    """A sound file in memory."""
    file = io.BytesIO()
    soundfile.write(file, noise(seconds, rate), rate, format=kind)
    return file.getvalue()


@pytest.fixture
def storage(app: Flask) -> Storage:
    """The app's storage folder."""
    return Storage(app.extensions["ledger"].settings)


@pytest.fixture
def song(storage: Storage, track: Track) -> bytes:
    """The bytes of a WAV that track-1 has."""
    (storage.root / "song.wav").write_bytes(wav_bytes())
    tracks.update("track-1", file_path_wav="song.wav")
    return wav_bytes()


# --- decoding and encoding


@pytest.mark.parametrize("rate", [6000, 8000, 11127, 22050, 37800, 44100, 88200, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_number_of_channels_becomes_an_mp3_of_exact_length(
    tmp_path: Path, rate: int, channels: int
) -> None:
    frames = rate // 2 + 17
    soundfile.write(tmp_path / "a.wav", noise(1, rate, channels)[:frames], rate)
    encode(tmp_path / "a.wav", tmp_path / "a.mp3", "MP3")
    found = probe(tmp_path / "a.mp3")
    assert found["frames"] == round(frames * found["rate"] / rate) and found["channels"] == min(2, channels)
    assert found["rate"] in sound.MP3_RATES and (found["rate"] >= rate or found["rate"] >= 44100)


def test_samples_that_would_abort_the_encoder_are_made_finite(tmp_path: Path) -> None:
    wild = noise()
    wild[10], wild[20], wild[30], wild[40] = np.nan, np.inf, -np.inf, 3e38
    soundfile.write(tmp_path / "a.wav", wild, RATE, subtype="FLOAT")
    encode(tmp_path / "a.wav", tmp_path / "a.mp3", "MP3")
    with Source(tmp_path / "a.wav") as source:
        block = next(source.blocks())
    assert probe(tmp_path / "a.mp3")["frames"] == RATE
    assert (block[10, 0], block[20, 0], block[30, 0], block[40, 0]) == (0, 1, -1, 1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_width_of_sample_is_the_same_sound(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", noise(), RATE, subtype=subtype)
    with Source(tmp_path / "a.wav") as source:
        block = np.concatenate(list(source.blocks()))
    assert source.kind == "wav" and np.abs(block - noise()).max() < 0.02


@pytest.mark.parametrize(("kind_of_file", "kind"), [("FLAC", None), ("OGG", None), ("MP3", "mp3"), ("AIFF", None)])
def test_a_file_is_known_by_its_content_whatever_its_name(tmp_path: Path, kind_of_file: str, kind: str | None) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(1, kind_of_file))
    found = probe(tmp_path / "a.wav")
    assert (found["kind"], found["frames"]) == (kind, RATE)


@pytest.mark.parametrize("kind_of_file", ["WAV", "MP3", "FLAC"])
def test_a_truncated_file_has_what_is_there(tmp_path: Path, kind_of_file: str) -> None:
    whole = wav_bytes(20, kind_of_file)
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
    assert 0.2 < probe(tmp_path / "a.wav")["duration"] / 20 < 0.6


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty: it has 0 bytes"),
        (wav_bytes()[:44], "has no sound in it"),
        (b"hello, this is text " * 99, "is not audio that can be decoded"),
        (wav_bytes()[:20], "is not audio that can be decoded"),
        (os.urandom(9999), "a.wav "),
    ],
)
def test_what_is_no_sound_is_refused_in_a_sentence(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    for verb in (probe, peaks):
        with pytest.raises(Unusable, match=why):
            verb(tmp_path / "a.wav")


def test_a_long_wav_says_how_long_it_is(tmp_path: Path) -> None:
    with Sink(tmp_path / "a.wav", 44100, 6, "WAV", frames=6 * 3600 * 44100) as sink:
        sink.write(noise(0.1, 44100, 6))
    assert soundfile.info(tmp_path / "a.wav").format == "RF64" and probe(tmp_path / "a.wav")["frames"] == 4410


def test_peaks_are_the_extremes_of_each_stretch(tmp_path: Path) -> None:
    quiet = np.zeros((RATE * 4, 2), np.float32)
    quiet[RATE, 0], quiet[RATE * 3, 1] = 0.75, -0.5
    soundfile.write(tmp_path / "a.wav", quiet, RATE, subtype="FLOAT")
    found = peaks(tmp_path / "a.wav")
    lows, highs = np.array(found["peaks"]).T
    assert found["duration"] == 4 and len(lows) == 125 and highs.max() == 0.75 and lows.min() == -0.5
    assert highs.argmax() == 31 and lows.argmin() == 93


def test_a_wrong_command_line_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "files.sound", "sing", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and "usage:" in ended.stderr


# --- playing and saving


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


@pytest.mark.parametrize("query", ["", "?format=wav", "?format=mp3"])
def test_a_track_without_a_file_says_what_to_do(client: FlaskClient, track: Track, query: str) -> None:
    answer = client.get(f"/api/tracks/track-1/audio{query}")
    assert answer.status_code == 404 and "upload one" in answer.json["detail"]


@pytest.mark.parametrize("place", ["audio?format=mp3", "waveform.json", "waveform.svg"])
def test_a_file_that_is_no_sound_says_so(client: FlaskClient, storage: Storage, track: Track, place: str) -> None:
    (storage.root / "song.wav").write_text("no sound")
    tracks.update("track-1", file_path_wav="song.wav")
    answer = client.get(f"/api/tracks/track-1/{place}")
    assert answer.status_code == 404 and "not audio that can be decoded" in answer.json["detail"]
    assert str(storage.root) not in answer.text and not list((storage.root / PARTS).iterdir())


def test_a_completed_loop_is_played(client: FlaskClient, storage: Storage, loop: Loop) -> None:
    assert client.get("/api/loops/loop-1/audio").status_code == 404
    (storage.root / "loop.mp3").write_bytes(wav_bytes(1, "MP3"))
    loops.update("loop-1", status="COMPLETED", result_path="loop.mp3")
    answer = client.get("/api/loops/loop-1/audio")
    assert (answer.status_code, answer.mimetype) == (200, "audio/mpeg")
    assert parse_options_header(answer.headers["Content-Disposition"])[1]["filename"].endswith("(loop, 120 s).mp3")


def test_too_many_readers_are_told_to_come_back(
    app: Flask, client: FlaskClient, storage: Storage, track: Track
) -> None:
    (storage.root / "song.wav").write_bytes(wav_bytes(60))
    tracks.update("track-1", file_path_wav="song.wav")
    app.extensions["ledger"].limits.transfers = threading.BoundedSemaphore(1)
    held = client.get("/api/tracks/track-1/audio", buffered=False)
    refused = client.get("/api/tracks/track-1/audio")
    held.close()
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    assert client.head("/api/tracks/track-1/audio").status_code == 200
    assert client.get("/api/tracks/track-1/audio").status_code == 200


def test_slow_readers_hold_little_memory(server: Callable[..., Server]) -> None:
    running = server().start()
    (running.storage / "song.wav").write_bytes(bytes(20_000_000))
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    running.call("POST", "/api/jobs/j/tracks", {"track_id": "t", "file_path_wav": "song.wav"})
    before, readers = running.memory(), [slow_reader(running)]
    while running.call("GET", "/api/tracks/t/audio")[0] != 503:
        readers.append(slow_reader(running))
    assert len(readers) < 60 and running.memory() - before < 60_000_000 and running.call("GET", "/healthz")[0] == 200
    for reader in readers:
        reader.close()
    wait_for(lambda: running.call("GET", "/api/tracks/t/audio")[0] == 200, 5)


def slow_reader(running: Server) -> socket.socket:
    """A connection that asks for a file and reads nothing."""
    reader = socket.create_connection(("127.0.0.1", running.port))
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.sendall(b"GET /api/tracks/t/audio HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return reader


# --- waveforms


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


# --- uploading


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


# --- attacks on paths


@pytest.mark.parametrize("name", [name for name in ATTACKS if name])
def test_a_recorded_path_outside_the_folder_is_neither_served_nor_removed(
    client: FlaskClient, storage: Storage, loop: Loop, name: str
) -> None:
    secret = storage.root.parent / "secret.wav"
    (storage.root / "linked").symlink_to(storage.root.parent)
    (storage.root / "link.wav").symlink_to(secret)
    os.mkfifo(storage.root / "fifo.wav")
    secret.write_bytes(wav_bytes())
    name = name.format(outside=storage.root.parent) if "{" in name else name
    told = [client.patch("/api/tracks/track-1", json={"file_path_wav": name, "file_path_mp3": name})]
    told += [client.patch("/api/loops/loop-1", json={"result_path": name, "status": "COMPLETED"})]
    before = everything(storage.root.parent)
    assert {answer.status_code for answer in told} <= {200, 400, 422}
    for place in ("tracks/track-1/audio", "tracks/track-1/waveform.json", "loops/loop-1/audio"):
        assert client.get(f"/api/{place}").status_code == 404
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    assert everything(storage.root.parent) == before and secret.read_bytes() == wav_bytes()


@pytest.mark.parametrize(
    "path",
    ["../../secret", "%2e%2e/%2e%2e/secret", "%252e%252e%252fsecret", "..%5c..%5csecret", "a%00b", "%2fetc%2fpasswd"],
)
def test_a_path_in_a_url_leads_nowhere(client: FlaskClient, song: bytes, path: str) -> None:
    for kind in ("tracks", "loops"):
        assert client.get(f"/api/{kind}/{path}/audio").status_code in (400, 404)


@pytest.mark.parametrize("kind", KINDS)
def test_files_go_with_their_records_when_that_is_asked_for(client: FlaskClient, storage: Storage, job: Job) -> None:
    place = storage.folder("job", "job-1") / "attempt"
    place.mkdir(parents=True)
    (place / "song.wav").write_bytes(wav_bytes())
    client.post("/api/jobs/job-1/tracks", json={"track_id": "t", "file_path_wav": "jobs/job-1/attempt/song.wav"})
    client.put("/api/tracks/t/audio", data=wav_bytes(1, "MP3"))
    client.get("/api/tracks/t/waveform.json")
    assert client.delete("/api/tracks/t").status_code == 204 and (place / "song.wav").exists()
    client.post("/api/jobs/job-1/tracks", json={"track_id": "t", "file_path_wav": "jobs/job-1/attempt/song.wav"})
    assert client.delete("/api/tracks/t?files=true").status_code == 204
    assert not [path for path in everything(storage.root) if path.is_file()]


def test_the_files_of_another_job_stay(client: FlaskClient, storage: Storage, track: Track) -> None:
    theirs = storage.folder("job", "other") / "a" / "song.wav"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    tracks.update("track-1", file_path_wav="jobs/other/a/song.wav")
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204 and theirs.exists()


def test_a_file_that_another_record_names_stays(client: FlaskClient, storage: Storage, job: Job) -> None:
    place = storage.folder("job", "job-1") / "attempt"
    place.mkdir(parents=True)
    (place / "song.wav").write_bytes(wav_bytes())
    client.post("/api/jobs", json={"job_id": "other", "prompt": "p"})
    for track_id in ("t1", "t2"):
        client.post(
            "/api/jobs/job-1/tracks", json={"track_id": track_id, "file_path_wav": "jobs/job-1/attempt/song.wav"}
        )
    client.get("/api/tracks/t1/waveform.svg")
    assert client.delete("/api/tracks/t1?files=true").status_code == 204
    assert client.patch("/api/tracks/t2", json={"job_id": "other"}).status_code == 200
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    assert client.get("/api/tracks/t2/audio").data == wav_bytes()


def test_a_log_goes_with_its_job(client: FlaskClient, storage: Storage, job: Job) -> None:
    storage.log("job-1").parent.mkdir(parents=True)
    storage.log("job-1").write_text("of another")
    client.delete("/api/jobs/job-1")
    client.post("/api/jobs", json={"job_id": "job-1", "prompt": "p"})
    assert client.get("/api/jobs/job-1/log").data == b""


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


def test_no_file_goes_when_the_record_stays(client: FlaskClient, storage: Storage, song: bytes) -> None:
    answer = client.delete("/api/tracks/track-1?files=true", headers={"If-Match": '"1"'})
    assert answer.status_code == 412 and (storage.root / "song.wav").read_bytes() == song


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
