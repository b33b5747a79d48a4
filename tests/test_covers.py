"""Covers: drawn from the waveform and the name of a track, or uploaded; and what carries an uploaded one."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from files import drawing
from files.cache import DERIVED, sweep
from files.covers import version_of
from files.deletion import delete_jobs, named
from files.discards import discard_tracks, finish
from files.leftovers import remove_leftovers
from files.pictures import Picture, read_header
from files.removals import removal_notes
from files.storage import PARTS, Storage
from maintenance.archive.moves import archive, unarchive
from maintenance.backup import backup
from maintenance.checks.faults import Place
from maintenance.checks.files import unnamed_file
from maintenance.restore import restore
from models import Track
from records import discards
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.archives import everyone
from tests.conftest import KINDS, ROOT, on_sqlite
from tests.sounds import wav_bytes
from tests.test_storage import everything

jobs, tracks = JobRepository(), TrackRepository()
COVER = "/api/tracks/track-1/cover"


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


def png(width: int = 2, height: int = 3) -> bytes:
    """A PNG of this size that any program can read."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    rows = zlib.compress(b"".join(b"\0" + b"\x40\x80\xc0" * width for _ in range(height)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int = 2, height: int = 3, before: bytes = b"\xff\xe0\x00\x04xy\xff\xd0\xff\xff\xfe\x00\x02") -> bytes:
    """The header of a JPEG of this size. before: its segments before the one with the size."""
    frame = b"\xff\xc2\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x11\0\0"
    return b"\xff\xd8" + before + frame + b"\xff\xda\x00\x02rest"


def upload(client: FlaskClient, body: bytes) -> Any:
    """The answer to an upload for track-1."""
    return client.put(COVER, data=body)


# --- drawn


@pytest.mark.measured
def test_a_cover_is_drawn_once_and_kept(client: FlaskClient, storage: Storage, song: bytes) -> None:
    first = client.get(COVER)
    made = [path for path in everything(storage.root / DERIVED) if path.suffix == ".png"]
    moment = made[0].stat().st_mtime_ns
    again = client.get(COVER, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, first.mimetype, again.status_code) == (200, "image/png", 304)
    assert read_header(io.BytesIO(first.data)) == Picture("image/png", 800, 800)
    assert len(made) == 1 and made[0].stat().st_mtime_ns == moment and not list((storage.root / PARTS).iterdir())


def test_another_title_is_another_cover_and_the_same_title_the_same(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    first = client.get(COVER).data
    tracks.update("track-1", title="Night train")
    second = client.get(COVER).data
    tracks.update("track-1", title=None)
    for path in everything(storage.root / DERIVED):
        path.unlink(missing_ok=True) if path.suffix == ".png" else None
    assert client.get(COVER).data == first != second


@pytest.mark.measured
def test_a_track_without_a_sound_has_no_drawn_cover(client: FlaskClient, storage: Storage, track: Track) -> None:
    assert client.get(COVER).status_code == 404 and client.get("/api/tracks/nobody/cover").status_code == 404
    (storage.root / "song.wav").write_text("no sound")
    tracks.update("track-1", file_path_wav="song.wav")
    assert "not audio that can be decoded" in client.get(COVER).json["detail"]


def test_covers_of_old_titles_are_swept(client: FlaskClient, storage: Storage, song: bytes) -> None:
    client.get(COVER)
    [path] = [path for path in everything(storage.root / DERIVED) if path.suffix == ".png"]
    sweep(storage.root)
    assert path.exists()
    os.utime(path, (0, 0))
    sweep(storage.root)
    assert not path.exists() and storage.derived(storage.root / "song.wav", "waveform.json").exists()


PEAKS = [[-0.5, 0.5], [-0.1, 0.9]]
FONT = drawing.font_for("Aé")
needs_font = pytest.mark.skipif(FONT is None, reason="no font that fontconfig finds on this machine")


@needs_font
@pytest.mark.parametrize(
    "title", ["Night train", "<Ada> & 'friends'", "é" * 90, "\0\x1b\ud800 rain \ufffe", "e\u0301\u200d"]
)
def test_a_title_is_drawn_in_letters(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = drawing.draw(PEAKS, title)
    monkeypatch.setattr(drawing, "font_for", lambda words: None)
    assert drawn.startswith(b"\x89PNG") and drawn != drawing.draw(PEAKS, title)


@pytest.mark.parametrize("title", ["\U000e0100\U0010fffd", "夜 \ue000", "", " \0", "Night \U0001fbff\U0001cccc"])
def test_a_title_with_a_letter_that_no_font_has_is_left_out(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = "20-7e\n" if FONT is None else f"{FONT.path}\n{FONT.family}\n20-7e a0-ff"
    answer = subprocess.CompletedProcess([], 0, stdout=ranges)
    monkeypatch.setattr(drawing.subprocess, "run", lambda *_, **__: answer)
    words = drawing.shown(title)
    assert "<text" not in drawing.svg(PEAKS, words, drawing.font_for(words))
    assert drawing.draw(PEAKS, title).startswith(b"\x89PNG")


def test_without_fontconfig_a_cover_has_no_title(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FC_MATCH", ("no-such-program",))
    assert drawing.font_for("rain") is None


@pytest.mark.parametrize("peaks", [[], [[0.0, 0.0]], [[-1.0, 1.0]] * 2000, [[-0.3, 0.1]] * 57])
def test_any_waveform_has_as_many_bars(peaks: Any) -> None:
    assert drawing.svg(peaks, "x", None).count("<rect x=") == drawing.BARS


@pytest.mark.parametrize("title", ["a" * 90, "W" * 90, "夜" * 90, "a b " * 22, "one", "Interminable " * 7])
def test_a_long_title_has_at_most_three_lines_that_fit(title: str) -> None:
    drawn = drawing._title(drawing.shown(title), drawing.Font("x", "x"))
    assert 1 <= drawn.count("<text") <= 3
    lines = drawing._wrapped(drawing.shown(title), 40)
    assert all(drawing._width(line) * 40 <= 800 - 2 * drawing.MARGIN for line in lines)
    assert "".join(lines).replace(" ", "") == drawing.shown(title).replace(" ", "")


def test_the_web_process_loads_no_library_for_pictures() -> None:
    code = "import sys, app; app.create_app(); print(sorted({'resvg_py', 'mutagen', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


# --- uploaded


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("body", "mimetype"), [(png(), "image/png"), (jpeg(), "image/jpeg")])
def test_an_uploaded_picture_is_the_cover(client: FlaskClient, song: bytes, body: bytes, mimetype: str) -> None:
    version = client.get("/api/tracks/track-1").headers["ETag"]
    answer = upload(client, body)
    assert (answer.status_code, answer.json["urls"]["cover"]) == (200, COVER) and answer.headers["ETag"] != version
    cover = client.get(COVER)
    assert (cover.data, cover.mimetype) == (body, mimetype)
    assert client.delete(COVER).status_code == 204 and client.get(COVER).data != body
    assert client.delete(COVER).status_code == 404 and client.get("/api/tracks/track-1").headers["ETag"] != version


def test_a_cover_replaces_the_one_before(client: FlaskClient, storage: Storage, track: Track) -> None:
    versions = set()
    for body in (png(), jpeg(), png(4, 4)):
        upload(client, body)
        assert client.get(COVER).data == body and list(storage.folder("track", "track-1").iterdir())
        versions.add(version_of(storage.cover("track-1")))
    assert len(versions) == 3 and len(list(storage.folder("track", "track-1").iterdir())) == 1
    assert client.delete(COVER).status_code == 204 and not storage.folder("track", "track-1").exists()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "no PNG and no JPEG"),
        (b"GIF89a" + b"\0" * 100, 400, "no PNG and no JPEG"),
        (png()[:20], 400, "no PNG and no JPEG"),
        (png(0, 5), 400, "no PNG and no JPEG"),
        (png()[:12] + b"IDAT" + png()[16:], 400, "no PNG and no JPEG"),
        (jpeg(before=b"\xff\xe0\0\1"), 400, "no PNG and no JPEG"),
        (jpeg(before=b"xy"), 400, "no PNG and no JPEG"),
        (jpeg(before=b"\xff\xda\0\2"), 400, "no PNG and no JPEG"),
        (jpeg()[:20], 400, "no PNG and no JPEG"),
        (jpeg()[:3], 400, "no PNG and no JPEG"),
        (b"\xff\xd8\xff", 400, "no PNG and no JPEG"),
        (png(4097, 1), 400, "4097 × 1 pixels: at most 4096"),
        (jpeg(1, 65535), 400, "1 × 65535 pixels: at most 4096"),
        (png() + b"\0" * 10_000_000, 413, "10000000 are accepted"),
        (wav_bytes(), 400, "no PNG and no JPEG"),
    ],
)
def test_what_is_no_small_picture_is_refused(
    client: FlaskClient, storage: Storage, track: Track, body: bytes, status: int, said: str
) -> None:
    upload(client, png(9, 9))
    answer = upload(client, body)
    assert answer.status_code == status and said in answer.json["detail"], answer.json
    assert client.get(COVER).data == png(9, 9) and not list((storage.root / PARTS).iterdir())


@pytest.mark.parametrize("before", [b"\xff", b"\xff\xd0", b"\xff\xe0\x00\x02"])
def test_the_header_of_a_picture_is_read_by_few_calls(before: bytes) -> None:
    file, calls = io.BytesIO(jpeg(before=before * 1_000_000)), list[int]()
    counting: Any = SimpleNamespace(seek=file.seek, read=lambda size: calls.append(size) or file.read(size))
    assert read_header(counting) is None and len(calls) < 5000
    assert read_header(io.BytesIO(jpeg(before=before * 500))) == Picture("image/jpeg", 2, 3)


def test_a_cover_for_a_track_that_is_not_there_leaves_nothing(client: FlaskClient, storage: Storage) -> None:
    assert client.put("/api/tracks/nobody/cover", data=png()).status_code == 404
    assert client.delete("/api/tracks/nobody/cover").status_code == 404
    assert not storage.folder("track", "nobody").exists()


@pytest.mark.parametrize("files", ["true", "false"])
@pytest.mark.parametrize("what", ["tracks/track-1", "jobs/job-1"])
def test_a_track_that_is_deleted_takes_its_cover_along(
    client: FlaskClient, storage: Storage, song: bytes, what: str, files: str
) -> None:
    upload(client, png())
    assert client.delete(f"/api/{what}?files={files}").status_code == 204
    assert not storage.folder("track", "track-1").exists() and not removal_notes(storage)
    assert (storage.root / "song.wav").exists() == (files == "false")


def test_jobs_that_are_deleted_together_take_their_covers_along(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    jobs.create(job_id="plain")
    upload(client, png())
    assert sorted(delete_jobs(storage, ["plain", "job-1", "nobody"])) == ["job-1", "plain"]
    assert not storage.folder("track", "track-1").exists() and (storage.root / "song.wav").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_discarded_track_keeps_its_cover_until_it_has_expired(
    client: FlaskClient, storage: Storage, settings: Settings, song: bytes
) -> None:
    upload(client, png())
    path = storage.cover("track-1")
    discard, _ = discard_tracks(storage, ["track-1"])
    assert discard is not None and discard.bytes >= len(png()) and named(storage, [path]) == {path}
    remove_leftovers(storage)
    assert list(unnamed_file(Place(settings, storage))) == []
    discards.undo(discard.discard_id)
    assert client.get(COVER).data == png()
    discard, _ = discard_tracks(storage, ["track-1"])
    assert discard is not None and discards.expire(discard.discard_id)
    finish(storage, discard.discard_id, lambda *_: set())
    assert not path.exists()


@on_sqlite
def test_the_archive_and_a_backup_carry_covers(
    client: FlaskClient, storage: Storage, settings: Settings, song: bytes, tmp_path: Path
) -> None:
    jobs.update("job-1", status="cancelled")
    upload(client, png())
    backup(settings, tmp_path / "copy", files=True)
    assert archive(tmp_path / "archive.db", everyone(), files=True).moved == 1
    assert not storage.folder("track", "track-1").exists()
    assert unarchive(tmp_path / "archive.db").moved == 1 and client.get(COVER).data == png()
    upload(client, jpeg())
    restore(settings, tmp_path / "copy")
    assert storage.cover("track-1").read_bytes() == png()


def test_the_cover_of_an_archived_track_whose_files_stay_is_no_fault(
    client: FlaskClient, storage: Storage, settings: Settings, song: bytes, tmp_path: Path
) -> None:
    jobs.update("job-1", status="cancelled")
    upload(client, png())
    assert list(unnamed_file(Place(settings, storage))) == []
    archive(tmp_path / "archive.db", everyone())
    assert list(unnamed_file(Place(settings, storage))) == [] and storage.cover("track-1").exists()


def test_a_cover_without_a_track_is_a_fault(client: FlaskClient, storage: Storage, settings: Settings) -> None:
    storage.cover("gone").parent.mkdir(parents=True)
    storage.cover("gone").write_bytes(png())
    assert [fault.about for fault in unnamed_file(Place(settings, storage))] == ["tracks/gone/cover"]
