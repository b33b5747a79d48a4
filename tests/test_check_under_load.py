"""flask check finds no fault in a healthy service, whatever the service is doing."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.conftest import thorough, wait_for
from tests.service import Caller, Server
from tests.sounds import wav_bytes
from tests.test_commands import flask

CHECKS = thorough(10, 2)
PAUSE = thorough(0.05, 0.3)  # seconds; between two jobs of one of the three clients


@pytest.fixture
def busy(server: Callable[..., Server], database_url: str) -> Iterator[Server]:
    """A service with a worker, whose clients make songs, upload sound, and delete jobs with their files."""
    running, stop = server(DATABASE_URL=database_url, WORKERS="1").start(), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        work = [pool.submit(make_and_delete, running, f"w{number}", stop) for number in range(3)]
        wait_for(lambda: running.call("GET", "/api/jobs?status=completed")[1]["items"], 60)
        yield running
        stop.set()
        for one in work:
            one.result()


def make_and_delete(running: Server, name: str, stop: threading.Event) -> None:
    """Make jobs with a song or an upload, and delete every second one with its files."""
    with closing(Caller(running.port)) as call:
        for number in itertools.count():
            job_id = f"{name}-{number}"
            order = {"job_id": job_id, "job_type": "synth", "prompt": "rain", "metadata": {"duration": 1}}
            assert call("POST", "/api/jobs", order if number % 8 == 0 else {**order, "status": "completed"})[0] == 201
            if number % 8:
                assert call("POST", f"/api/jobs/{job_id}/tracks", {"track_id": job_id, "duration": 1})[0] == 201
                upload(running, job_id)
            if number > 1 and number % 2:
                assert call("DELETE", f"/api/jobs/{name}-{number - 1}?files=true")[0] in (204, 404)
            if stop.wait(PAUSE):
                return


def upload(running: Server, track_id: str) -> None:
    """Upload a sound to a track, unless the track is in the archive by now."""
    request = Request(
        f"{running.url}/api/tracks/{track_id}/audio", wav_bytes(), {"Content-Type": "audio/wav"}, method="PUT"
    )
    try:
        urlopen(request, timeout=60).close()
    except HTTPError as error:
        with error:
            assert error.code == 404


def test_a_healthy_service_under_load_has_no_fault(busy: Server, database_url: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": database_url, "STORAGE_DIR": str(busy.storage)}
    move = ("archive", "--older-than", "1s", "--files", "--to", str(tmp_path / "archive.db"))
    with ThreadPoolExecutor(1) as pool:
        for _ in range(CHECKS):
            moving = pool.submit(flask, tmp_path, *move, **env)
            done = flask(tmp_path, "check", "--json", **env)
            assert (done.returncode, json.loads(done.stdout)) == (0, {"faults": []}), done.stderr
            assert moving.result().returncode == 0, moving.result().stderr
