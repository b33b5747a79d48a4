"""A service with tracks that can be played, and what the player in a browser does with them."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.sounds import wav_bytes
from tests.test_browser import Watched

LONG = 120  # seconds
AUDIO = "document.getElementById('player-audio')"
# What happens to the audio element is written down in window.happened.
WATCH = """() => {
  window.happened = [];
  window.audio = document.getElementById("player-audio");
  for (const name of ["pause", "waiting", "playing", "ended", "error", "emptied", "stalled"])
    window.audio.addEventListener(name, () => window.happened.push(name));
  let last = 0;
  setInterval(() => {
    if (window.audio.currentTime < last) window.happened.push("back");
    last = window.audio.currentTime;
  }, 50);
}"""
# True if the browser has read the whole file: it no longer waits for the service.
IS_READ = f"{AUDIO}.buffered.length > 0 && {AUDIO}.buffered.end(0) > {AUDIO}.duration - 1"


def serve(folder: Path, **environment: str) -> Server:
    """A server without workers."""
    return Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="0", **environment).start()


@contextmanager
def serving_takes(folder: Path) -> Iterator[Server]:
    """A server without workers that has the job "takes" with three takes."""
    service = serve(folder)
    add_job(service, "takes", [60, 60, 60], takes=3)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a job of three takes."""
    with serving_takes(tmp_path_factory.mktemp("played")) as service:
        yield service


@pytest.fixture
def page(window: Callable[..., Watched], played: Server) -> Iterator[Page]:
    """A window; it had no errors in the end."""
    seen = window()
    yield seen.page
    seen.errors = [error for error in seen.errors if "waveform" not in error]  # of a track that is deleted meanwhile
    seen.check(played)


def add_job(service: Server, job_id: str, seconds: Iterable[float], **fields: Any) -> None:
    """Record a finished job that has a track of noise for each of these lengths: job-1, job-2 …"""
    body = {"job_id": job_id, "prompt": f"song {job_id}", "job_type": "other", "metadata": {}, **fields}
    assert service.call("POST", "/api/jobs", body)[0] == 201
    for number, length in enumerate(seconds, start=1):
        add_track(service, job_id, f"{job_id}-{number}", length)
    service.call("PATCH", f"/api/jobs/{job_id}", {"status": "completed"})


def add_track(service: Server, job_id: str, track_id: str, seconds: float) -> None:
    """Record a track with a file of noise: a WAV, or an MP3 if it is long."""
    track = {"track_id": track_id, "duration": seconds, "metadata": {"track_name": f"Track {track_id}"}}
    assert service.call("POST", f"/api/jobs/{job_id}/tracks", track)[0] == 201
    upload(
        service, track_id, wav_bytes(seconds, "WAV" if seconds < LONG else "MP3"), "wav" if seconds < LONG else "mp3"
    )


def upload(service: Server, track_id: str, audio: bytes, kind: str) -> None:
    """Store the file of a track: wav or mp3."""
    url = f"{service.url}/api/tracks/{track_id}/audio?format={kind}"
    headers = {"Content-Type": "audio/wav" if kind == "wav" else "audio/mpeg"}
    with urlopen(Request(url, audio, headers, method="PUT"), timeout=30) as answer:
        assert answer.status in (200, 201)


def add_loop(service: Server, track_id: str, loop_id: str, audio: bytes, kind: str = "WAV", **analysis: Any) -> None:
    """Record a finished loop with its file."""
    path = service.storage / "loops" / f"{loop_id}.{kind.lower()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(audio)
    result = {"format": kind, "status": "COMPLETED", "result_path": f"loops/{path.name}"}
    fields = {"loop_id": loop_id, "duration": 6, **result}
    assert service.call("POST", f"/api/tracks/{track_id}/loops", fields)[0] == 201
    if analysis:
        set_analysis(service, loop_id, analysis)


def set_analysis(service: Server, loop_id: str, analysis: dict[str, Any]) -> None:
    """Write the analysis of a loop, as a worker does."""
    with closing(sqlite3.connect(service.folder / "app.db", timeout=10)) as database, database:
        database.execute("UPDATE loop SET analysis = ? WHERE loop_id = ?", (json.dumps(analysis), loop_id))


def play(page: Page, name: str, at_least: float = 0.3) -> None:
    """Press the play button of a sound, and wait until it sounds."""
    page.get_by_role("button", name=f"Play {name}", exact=True).click()
    wait_for(lambda: time_of(page) > at_least and state_of(page) == "playing", 30)


def time_of(page: Page) -> float:
    """The seconds of the audio element."""
    return float(page.evaluate(f"{AUDIO}.currentTime"))


def state_of(page: Page) -> str:
    """The state of the play button of the bar: playing, paused or loading."""
    return str(page.locator("#player-play").get_attribute("data-state"))


def expect_sound(page: Page, title: str) -> None:
    """The bar has this sound."""
    expect(page.locator("#player-title")).to_have_text(title)
