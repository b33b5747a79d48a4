"""GET /api/tracks.zip: which tracks, in which order, by which names; and an archive that any program reads."""

import errno
import io
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from flask.testing import FlaskClient

from errors import NotFound
from files.bundles import Bundle, Entry, Texts, size_of
from files.storage import Storage
from models import Job
from repos import TrackRepository
from tests.conftest import Server, on_sqlite, thorough, wait_for
from tests.service import web_workers
from web.downloads import file_name

tracks = TrackRepository()
MOMENT = datetime(2026, 11, 27, 12, 30, 8, tzinfo=UTC)
LARGE = thorough(700_000_000, 20_000_000)  # bytes of each of three songs


def entry(name: str, data: bytes) -> Entry:
    """An entry with these bytes."""
    return Entry(name, data, len(data), MOMENT)


def whole(entries: Sequence[Entry], size: int = 1000) -> bytes:
    """An archive, read in blocks of this size."""
    bundle = Bundle(entries)
    return b"".join(iter(lambda: bundle.read(size), b""))


def names(answer: Any) -> list[str]:
    """The names of the files of an archive, without the texts that every archive has. Their data is as it was."""
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        return [name for name in archive.namelist() if name not in ("playlist.m3u8", "tracks.json")]


@pytest.fixture
def takes(storage: Storage, job: Job) -> list[str]:
    """Three takes of job-1, made in another order: two with both files, one with an MP3 alone."""
    for number in (3, 1, 2):
        paths = {}
        for kind in ("wav", "mp3") if number != 2 else ("mp3",):
            (storage.root / f"{number}.{kind}").write_bytes(f"{kind} {number}".encode() * 1000)
            paths[f"file_path_{kind}"] = f"{number}.{kind}"
        tracks.create(track_id=f"t{number}", job_id="job-1", take=number, starred=number != 1, **paths)
    return ["t1", "t2", "t3"]


# --- the tracks


def test_the_takes_of_a_job_are_in_their_order(client: FlaskClient, takes: list[str]) -> None:
    answer = client.get("/api/tracks.zip?job_id=job-1&format=mp3")
    assert names(answer) == [f"{take} ambient rain, soft piano (take {take}).mp3" for take in (1, 2, 3)]
    assert (answer.mimetype, answer.headers["Content-Length"]) == ("application/zip", str(len(answer.data)))
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="tracks.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.read(archive.namelist()[2]) == b"mp3 3" * 1000
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def test_the_chosen_tracks_are_in_the_order_of_the_choice(client: FlaskClient, takes: list[str]) -> None:
    tracks.update("t3", title="Abendlied: Ütopia/2?")
    chosen = names(client.get("/api/tracks.zip?track_id=t3&track_id=t2"))
    assert chosen == ["1 Abendlied Ütopia 2 (take 3).wav", "2 ambient rain, soft piano (take 2).mp3"]
    assert len(names(client.get("/api/tracks.zip?starred=true"))) == 2
    assert len(names(client.get("/api/tracks.zip?starred=false&job_id=job-1"))) == 1
    assert len(names(client.get("/api/tracks.zip"))) == 3


@on_sqlite
def test_a_track_without_a_file_is_named_in_the_archive(
    client: FlaskClient, takes: list[str], storage: Storage
) -> None:
    (storage.root / "1.wav").unlink()
    (storage.root / "1.mp3").unlink()
    answer = client.get("/api/tracks.zip?job_id=job-1")
    assert names(answer)[-1] == "missing files.txt" and len(names(answer)) == 3
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert "1 ambient rain, soft piano (take 1)" in archive.read("missing files.txt").decode()


@on_sqlite
@pytest.mark.parametrize("query", ["track_id=t1&track_id=nobody", "job_id=nobody", "track_id=t1&starred=true"])
def test_tracks_that_are_not_there_are_refused(client: FlaskClient, takes: list[str], query: str) -> None:
    assert client.get(f"/api/tracks.zip?{query}").status_code == 404


@on_sqlite
def test_too_many_tracks_are_refused(client: FlaskClient, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.archive.MOST", 2)
    for number in range(3):
        tracks.create(track_id=f"t{number}", job_id="job-1")
    answer: Any = client.get("/api/tracks.zip")
    assert answer.status_code == 400 and "more than 2 tracks" in answer.json["detail"]
    assert client.get("/api/tracks.zip?" + "&".join(["track_id=x"] * 201)).status_code == 400


@on_sqlite
def test_an_archive_of_many_tracks_needs_few_statements(
    client: FlaskClient, takes: list[str], statements: list[str]
) -> None:
    tracks.create(track_id="t4", job_id="job-1", take=4)
    statements.clear()
    client.get("/api/tracks.zip")
    assert len([sql for sql in statements if sql.startswith("SELECT")]) == 5


@on_sqlite
def test_an_archive_reads_tracks_and_jobs_page_by_page(
    client: FlaskClient, takes: list[str], statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = names(client.get("/api/tracks.zip?job_id=job-1"))
    monkeypatch.setattr("web.archive.PAGE", 2)
    statements.clear()
    assert names(client.get("/api/tracks.zip?job_id=job-1")) == whole
    assert len([sql for sql in statements if sql.startswith("SELECT")]) == 9


@on_sqlite
def test_names_are_unique_for_windows_and_sort_as_the_playlist(
    client: FlaskClient, storage: Storage, song: bytes
) -> None:
    for number, title in enumerate(
        ["CON", "con", "Rain.", "rain", "RAIN?", "ｒａｉｎ", "nul.wav", "..", "Ünder", "ünder"]
    ):
        tracks.create(track_id=f"x{number}", job_id="job-1", title=title, file_path_wav="song.wav")
    with zipfile.ZipFile(io.BytesIO(client.get("/api/tracks.zip").data)) as archive:
        sounds = [name for name in archive.namelist() if name.endswith(".wav")]
        listed = archive.read("playlist.m3u8").decode().split("\n")[2::2]
        assert len(sounds) == 11 and sounds == sorted(sounds) == listed
        assert len({name.casefold() for name in archive.namelist()}) == len(archive.namelist())
        assert all(file_name(name) == name for name in archive.namelist())


@on_sqlite
def test_a_full_disk_refuses_the_archive_in_a_sentence(
    client: FlaskClient, takes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Texts, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Texts, "add", full)
    assert client.get("/api/tracks.zip").status_code == 507


@on_sqlite
def test_the_head_of_an_archive_says_its_length(client: FlaskClient, takes: list[str]) -> None:
    assert client.head("/api/tracks.zip").headers["Content-Length"] == str(len(client.get("/api/tracks.zip").data))


# --- the names


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ('a/b\\c:d*e?f"g<h>i|j\x00k\x7f', "a b c d e f g h i j k"),
        ("song. . ", "song"),
        ("con", "_con"),
        ("LPT1.old", "_LPT1.old"),
        ("nul .txt", "_nul .txt"),
        ("contract", "contract"),
        (" .. ", "track"),
        ("\ud800", "track"),
        ("x" * 300, "x" * 100),
        ("雨" * 100, "雨" * 66),
        ("a" * 99 + "., b", "a" * 99),
    ],
)
def test_a_name_can_be_stored_anywhere(title: str, name: str) -> None:
    assert file_name(title) == name


# --- the format


@pytest.mark.parametrize("limits", [(2**31 - 1, 65535), (1000, 65535), (100_000, 65535), (2**31 - 1, 3)])
@pytest.mark.parametrize("sizes", [[], [0], [1, 952, 953, 1000, 1001], [60_000, 60_000, 1], [300_000, 5]])
def test_the_length_is_known_before(
    limits: tuple[int, int], sizes: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limits[0])
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", limits[1])
    entries = [entry(f"{number} ütf.wav", os.urandom(size)) for number, size in enumerate(sizes)]
    made = whole(entries)
    assert len(made) == size_of(entries)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert [archive.read(info) for info in archive.infolist()] == [entry.source for entry in entries]
        assert all(info.flag_bits & 0x800 for info in archive.infolist())
        assert all(info.date_time == (2026, 11, 27, 12, 30, 8) for info in archive.infolist())
    (tmp_path / "made.zip").write_bytes(made)
    if sizes:
        subprocess.run(["unzip", "-tq", tmp_path / "made.zip"], check=True, capture_output=True)


@pytest.mark.parametrize("year", [1970, 2200])
def test_a_moment_that_no_archive_can_have_is_the_nearest(year: int) -> None:
    made = whole([Entry("a", b"a", 1, datetime(year, 1, 2, tzinfo=UTC))])
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.infolist()[0].date_time[0] == min(max(year, 1980), 2107)


@pytest.mark.parametrize("change", [b"", b"shorter", b"longer" * 100, None])
def test_an_archive_whose_file_changes_breaks_off(tmp_path: Path, change: bytes | None) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 50)
    bundle = Bundle([entry("first", b"y" * 1000), Entry("a.wav", path, 50, MOMENT)])
    assert len(bundle.read(900)) == 900
    path.unlink()
    if change is not None:
        path.write_bytes(change)
    with pytest.raises(NotFound):
        while bundle.read(900):
            pass
    with pytest.raises(NotFound):
        bundle.read(900)


def test_an_archive_that_nobody_reads_to_the_end_closes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 1_000_000)
    bundle = Bundle([Entry("a.wav", path, 1_000_000, MOMENT)])
    bundle.read(10)
    opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert str(path) in opened
    bundle.close()
    opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert str(path) not in opened


# --- the transfer


def with_songs(running: Server, number: int, size: int, fields_of_job: Any = MappingProxyType({})) -> None:
    """Give a server the job j with so many tracks, each with a sparse file of this size."""
    assert running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p", **fields_of_job})[0] == 201
    for take in range(1, number + 1):
        with (running.storage / f"{take}.wav").open("wb") as file:
            file.truncate(size)
        fields = {"track_id": f"t{take}", "take": take, "file_path_wav": f"{take}.wav"}
        assert running.call("POST", "/api/jobs/j/tracks", fields)[0] == 201


@pytest.fixture
def asked() -> Iterator[Callable[[Server], HTTPConnection]]:
    """Asks a server for the archive of job j. Closes the connections afterwards."""
    with ExitStack() as stack:

        def ask(running: Server) -> HTTPConnection:
            connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", running.port, timeout=60)))
            connection.request("GET", "/api/tracks.zip?job_id=j")
            return connection

        yield ask


def open_files(running: Server) -> set[str]:
    """The files that the web processes of a server have open."""
    return {file.path for process in web_workers(running) for file in process.open_files()}


def test_a_large_archive_needs_little_memory(server: Callable[..., Server], asked: Any, tmp_path: Path) -> None:
    running, path = server().start(), tmp_path / "songs.zip"
    with_songs(running, 3, LARGE)
    before = running.memory()
    answer, most = asked(running).getresponse(), 0
    with path.open("wb") as copy:
        while block := answer.read(1_000_000):
            copy.write(block)
            most = max(most, running.memory())
    assert answer.headers["Content-Length"] == str(path.stat().st_size)
    assert most - before < 30_000_000 and most < 120_000_000
    subprocess.run(["unzip", "-tq", path], check=True, capture_output=True)
    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()][:3] == [LARGE] * 3
    path.unlink()


def test_the_texts_of_an_archive_need_little_memory(server: Callable[..., Server], asked: Any) -> None:
    running = server().start()
    with_songs(running, 32, 100, {"metadata": {"lyrics": "rain " * 190_000}})
    before = running.memory()
    answer = asked(running).getresponse()
    assert int(answer.headers["Content-Length"]) > 60_000_000
    assert running.memory() - before < 20_000_000 and len(answer.read()) > 60_000_000


def test_a_transfer_whose_file_vanishes_breaks_off_and_the_service_goes_on(
    server: Callable[..., Server], asked: Any
) -> None:
    running = server().start()
    with_songs(running, 2, 50_000_000)
    connection = asked(running)
    answer = connection.getresponse()
    assert answer.status == 200 and len(answer.read(1_000_000)) == 1_000_000
    (running.storage / "2.wav").unlink()
    with pytest.raises((IncompleteRead, ConnectionError)):
        answer.read()
    assert running.call("GET", "/api/jobs/j")[0] == 200


def test_a_client_that_leaves_leaves_no_file_open(server: Callable[..., Server], asked: Any) -> None:
    running = server().start()
    with_songs(running, 1, 300_000_000)
    connection = asked(running)
    connection.getresponse().read(1000)
    song = str(running.storage / "1.wav")
    wait_for(lambda: song in open_files(running), 30)
    connection.close()
    wait_for(lambda: song not in open_files(running), 30)
