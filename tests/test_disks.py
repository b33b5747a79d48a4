"""Real disks that become full, read-only or broken: named answers, and everything acknowledged is still there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from database import database, init_database, release
from models import Job
from settings import Settings
from tests.conftest import Server, wait_for
from tests.disks import BreakingDisk, Disk, why_not
from tests.service import UNMEASURED, accepted, lines_with
from tests.sounds import wav_bytes
from tests.test_covers import png

on_disks = pytest.mark.skipif(bool(why_not()), reason=why_not())
on_breaking_disks = pytest.mark.skipif(bool(why_not(BreakingDisk)), reason=why_not(BreakingDisk))
SONG = {"job_type": "synth", "prompt": "rain", "metadata": {"duration": 3}}
WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/api/jobs", {"job_id": "refused", "job_type": "x", "prompt": "word " * 4000}),
    ("PATCH", "/api/jobs/kept-0", {"metadata": {"text": "word " * 4000}}),
    ("POST", "/api/jobs/kept-0/tracks", {}),
    ("POST", "/api/jobs/batch", {"jobs": [{"prompt": "word " * 4000}]}),
    ("POST", "/api/jobs/claim", {"worker": "w", "job_types": ["x"]}),
    ("PUT", "/api/queue", {"paused": True}),
    ("DELETE", "/api/jobs/kept-1", None),
]
UPLOADS = [
    ("PUT", "/api/tracks/t/audio", wav_bytes(1)),
    ("PUT", "/api/tracks/t/cover", png()),
    ("PUT", "/api/jobs/kept-0/reference", wav_bytes(1)),
    ("GET", "/api/tracks/t/audio?format=mp3", None),
    ("GET", "/api/tracks/t/waveform.json", None),
    ("GET", "/api/tracks/t/cover", None),
    ("GET", "/api/tracks/t/download?format=flac", None),
]
READS = (
    "/api/jobs?limit=1",
    "/api/jobs/kept-0",
    "/api/jobs?q=kept",
    "/api/tracks",
    "/api/stats",
    "/metrics",
    "/",
    "/tracks",
)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Disk, Disk]]:
    """A disk of 4 MB for the database, and one of 40 MB for the storage folder."""
    folder = tmp_path_factory.mktemp("disks")
    pair = Disk(folder / "database", 4), Disk(folder / "storage", 40)
    yield pair
    for disk in pair:
        disk.close()


@pytest.fixture(scope="module")
def service(disks: tuple[Disk, Disk]) -> Iterator[Server]:
    """A service with workers on these disks. It has ten jobs and a track with sound."""
    running = on_disk(disks[0], "1", STORAGE_DIR=str(disks[1].folder / "output")).start()
    fill_ledger(running)
    yield running
    running.stop()


def on_disk(disk: Disk, workers: str, **environment: str) -> Server:
    """A service whose database is on a disk."""
    path = str(disk.folder / "app.db")
    return Server(disk.folder.parent, DB_PATH=path, WORKERS=workers, **environment, **UNMEASURED)


def fill_ledger(running: Server) -> None:
    """Create ten jobs and a track with sound."""
    for number in range(10):
        body = {"job_id": f"kept-{number}", "job_type": "x", "prompt": "kept"}
        accepted(running.call("POST", "/api/jobs", body))
    accepted(running.call("POST", "/api/jobs/kept-0/tracks", {"track_id": "t"}))
    assert send(running, *UPLOADS[0])[0] == 200


def send(running: Server, method: str, path: str, body: bytes | None) -> tuple[int, str]:
    """Send bytes; returns the status, and the detail of a problem."""
    try:
        with urlopen(Request(running.url + path, body, method=method), timeout=60) as answer:
            return answer.status, ""
    except HTTPError as error:
        with error:
            return error.code, json.load(error)["detail"]


def check_refusals(answers: list[tuple[int, str]], status: int, detail: str) -> None:
    """Every answer is a success or this refusal; the first one is the refusal."""
    assert answers[0] == (status, answers[0][1]) and detail in answers[0][1]
    assert all(code < 300 or (code == status and detail in text) for code, text in answers), answers


def write_all(running: Server) -> list[tuple[int, str]]:
    """Send every kind of write: the statuses and the details of the problems."""
    answers = (running.call(*one) for one in WRITES)
    return [(status, body.get("detail", "") if isinstance(body, dict) else "") for status, body in answers]


def check_reads(running: Server) -> None:
    """Everything is read as always, and nothing that was acknowledged is lost."""
    assert [running.call("GET", path)[0] for path in READS] == [200] * len(READS)
    items = running.call("GET", "/api/jobs?limit=100")[1]["items"]
    assert {f"kept-{number}" for number in (0, *range(2, 10))} <= {job["job_id"] for job in items}
    assert send(running, "GET", "/api/tracks/t/audio", None) == (200, "")


def is_made(running: Server, job_id: str) -> bool:
    """True when a job is completed, in one attempt. Fails if it has failed."""
    job = running.call("GET", f"/api/jobs/{job_id}")[1]
    assert job["status"] != "failed", job["error"]
    return bool(job["status"] == "completed" and job["attempts"] == 1)


@on_disks
@pytest.mark.parametrize(
    ("harm", "heal", "status", "detail"),
    [
        (Disk.fill, Disk.make_room, 507, "The disk of the storage folder is full"),
        (lambda disk: disk.remount("ro"), lambda disk: disk.remount("rw"), 503, "because its disk is read-only"),
    ],
    ids=["full", "read-only"],
)
def test_without_a_disk_for_files_work_waits_and_goes_on_by_itself(
    service: Server,
    disks: tuple[Disk, Disk],
    harm: Callable[[Disk], object],
    heal: Callable[[Disk], object],
    status: int,
    detail: str,
) -> None:
    before = len(lines_with(service, " goes on: "))
    harm(disks[1])
    check_refusals([send(service, *one) for one in UPLOADS], status, detail)
    check_reads(service)
    assert service.call("GET", "/readyz")[0] == 503
    accepted(service.call("POST", "/api/jobs", {**SONG, "job_id": f"song-{status}"}))
    wait_for(lambda: len(lines_with(service, " goes on: ")) > before, 20)
    heal(disks[1])
    assert send(service, *UPLOADS[0])[0] == 200
    wait_for(lambda: is_made(service, f"song-{status}"), 60)


@on_disks
def test_a_full_disk_of_the_database_loses_nothing_and_fails_no_job(service: Server, disks: tuple[Disk, Disk]) -> None:
    accepted(service.call("POST", "/api/jobs", {**SONG, "job_id": "song", "metadata": {"duration": 60}}))
    wait_for(lambda: service.call("GET", "/api/jobs/song")[1]["status"] == "generating_audio", 40)
    disks[0].fill()
    check_refusals(write_all(service), 507, "The disk of the database is full")
    check_reads(service)
    wait_for(lambda: "song: progress is not recorded" in service.log.read_text(), 40)
    disks[0].make_room()
    accepted(service.call("POST", "/api/jobs", {"job_id": "next", "job_type": "x", "prompt": "p"}))
    wait_for(lambda: is_made(service, "song"), 60)


@on_disks
def test_a_start_on_a_full_disk_is_refused_with_a_sentence(service: Server, disks: tuple[Disk, Disk]) -> None:
    service.stop()
    disks[0].fill()
    before = (disks[0].folder / "app.db").read_bytes()
    said = refusal(service)
    assert said.startswith("The disk of the database") and said.endswith("make room, then start again.\n")
    assert (disks[0].folder / "app.db").read_bytes() == before


def refusal(running: Server) -> str:
    """The sentence with which a start is refused, after the log of the last run."""
    before = running.log.read_text()
    assert running.launch().wait(30) == 1
    said = running.log.read_text().removeprefix(before)
    assert said.count("\n") == 1
    return said


@on_breaking_disks
def test_a_disk_of_the_database_that_fails_stops_writes_alone(tmp_path: Path) -> None:
    disk = BreakingDisk(tmp_path / "disk", 16)
    running = on_disk(disk, "0").start()
    try:
        fill_ledger(running)
        disk.fail()
        check_refusals(write_all(running), 503, "The disk of the database is read-only or fails")
        check_reads(running)
        ready = running.call("GET", "/readyz")[1]
        assert not ready["database"]["ok"] and "Read-only file system" in ready["database"]["detail"]
        running.stop()
        assert "cannot be written" in refusal(running)
        disk.repair()
        init_database(Settings(_env_file=None, db_path=disk.folder / "app.db"))
        assert Job.select().where(Job.job_id.startswith("kept-")).count() == 10
        assert database.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        release()
        running.stop()
        disk.close()
