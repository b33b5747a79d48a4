"""A running service: two clients see a discard at once, and its housekeeping removes the files after ten seconds."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.conftest import Server, wait_for
from tests.service import accepted

Change = Callable[[str, str], None]


@pytest.fixture
def running(server: Callable[..., Server]) -> Server:
    """A service of two processes, with a job of two tracks with files. The second track has a star."""
    made = server(WEB_PROCESSES="2").start()
    made.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"})
    for take, starred in ((1, False), (2, True)):
        (made.storage / f"{take}.wav").write_bytes(b"x" * 1000)
        fields = {"track_id": f"t{take}", "take": take, "starred": starred, "file_path_wav": f"{take}.wav"}
        accepted(made.call("POST", "/api/jobs/j/tracks", fields))
    return made


@pytest.fixture
def wait_for_change(running: Server) -> Iterator[Change]:
    """Another client, which listens to the events of the job: waits for a change of a track."""
    with closing(HTTPConnection("127.0.0.1", running.port, timeout=20)) as connection:
        connection.request("GET", "/api/jobs/j/events?since=0")
        stream = connection.getresponse()

        def wait(track_id: str, change: str) -> None:
            for line in iter(stream.readline, b""):
                event: Any = json.loads(line[6:]) if line.startswith(b"data: ") else {}
                if (event.get("entity_id"), event.get("change")) == (track_id, change):
                    return
            pytest.fail(f"no event says that {track_id} was {change}")

        yield wait


def test_another_client_sees_a_discard_and_its_undo_at_once(running: Server, wait_for_change: Change) -> None:
    wait_for_change("t1", "created")
    discard = accepted(running.call("POST", "/api/jobs/j/discard"))
    wait_for_change("t1", "deleted")
    assert running.call("GET", "/api/tracks/t1")[0] == 404
    assert accepted(running.call("POST", discard["urls"]["undo"]))["state"] == "undone"
    wait_for_change("t1", "created")
    assert running.call("GET", "/api/tracks/t1/audio") == (200, b"x" * 1000)


def test_housekeeping_removes_the_files_after_ten_seconds_and_no_earlier(running: Server) -> None:
    began = time.monotonic()
    discard = accepted(running.call("POST", "/api/jobs/j/discard"))
    song = running.storage / "1.wav"
    wait_for(lambda: not song.exists(), 60)
    assert time.monotonic() - began >= 10
    wait_for(lambda: running.call("GET", discard["urls"]["self"])[0] == 404, 30)
    status, problem = running.call("POST", discard["urls"]["undo"])
    assert (status, problem["code"]) == (404, "not_found")
    assert (running.storage / "2.wav").exists() and "Traceback" not in running.log.read_text()
