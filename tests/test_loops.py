"""The loop worker: real processes that cut real loops, and are stopped, killed and cancelled."""

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from peewee import OperationalError

from files.storage import Storage, sha256
from models import LOOP_STATUSES, Event, Loop
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from studio.loops import ANALYSIS
from studio.worker import JobWorker, LoopWorker
from tests.conftest import ROOT, Server, clean_environment, thorough, wait_for
from tests.forked import Python
from web.pages.wording import QUALITIES

pytestmark = pytest.mark.measured

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
DONE = ("COMPLETED", "FAILED", "CANCELLED")


@pytest.fixture
def kind() -> str:
    """SQLite: leases are tested on both in test_leases.py."""
    return "sqlite"


@pytest.fixture(scope="session")
def melody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four seconds of the synthesiser."""
    folder = tmp_path_factory.mktemp("melody")
    command = [sys.executable, "-m", "studio.synth", "--ref-prompt", "upbeat pop", "--audio-length", "24"]
    subprocess.run([*command, "--output-dir", str(folder), "--seed", "1"], cwd=ROOT, check=True)
    return next(folder.glob("*.wav"))


@pytest.fixture
def studio(ledger: Settings, melody: Path) -> Settings:
    """A ledger with a track that has the melody, and a lease of two seconds."""
    ledger.storage_dir.mkdir()
    shutil.copy(melody, ledger.storage_dir / "melody.wav")
    jobs.create(job_id="job", prompt="p", status="completed")
    tracks.create(track_id="track", job_id="job", file_path_wav="melody.wav")
    return ledger.model_copy(update={"lease_seconds": 2.0})


def make(settings: Settings, **fields: Any) -> Loop:
    """Create a loop, have a worker cut it, and read it again."""
    loop = loops.create(**{"track_id": "track", "duration": 30, "format": "WAV", **fields})
    assert LoopWorker(settings).tick(0)
    return loops.get_by_id(loop.loop_id)


def stored(settings: Settings) -> set[str]:
    """Every file below loops/, relative to the storage folder."""
    root = Storage(settings).root
    return {str(path.relative_to(root)) for path in (root / "loops").rglob("*") if path.is_file()}


def frames(settings: Settings, loop: Loop) -> tuple[int, int]:
    """(decoded frames, rate) of a loop's file."""
    sound, rate = soundfile.read(Storage(settings).root / loop.result_path)
    return len(sound), rate


@pytest.mark.parametrize(("kind_of_file", "seconds"), [("WAV", 30.5), ("MP3", 7.25)])
def test_a_loop_is_as_long_as_requested(studio: Settings, kind_of_file: str, seconds: float) -> None:
    loop = make(studio, duration=seconds, format=kind_of_file, fade_in_out=True)
    assert (loop.status, loop.progress, loop.error, loop.message) == ("COMPLETED", 100, None, None)
    assert frames(studio, loop) == (round(seconds * 44100), 44100)
    assert loop.result_url == f"/api/loops/{loop.loop_id}/audio" and stored(studio) == {loop.result_path}


def test_the_analysis_tells_where_the_loop_is(studio: Settings) -> None:
    analysis = make(studio).analysis
    assert set(analysis) == set(ANALYSIS)
    assert 0 <= analysis["start"] < analysis["end"] <= 24 and 0 <= analysis["crossfade"] < 3
    assert analysis["quality"] in QUALITIES and 0 <= analysis["score"] <= 1 and analysis["beat_error_ms"] >= 0


def test_the_analysis_has_the_best_seams_and_the_source_they_belong_to(studio: Settings) -> None:
    analysis = make(studio).analysis
    candidates = analysis["candidates"]
    assert 1 < len(candidates) <= 5 and analysis["source_sha256"] == sha256(studio.storage_dir / "melody.wav")
    assert {name: analysis[name] for name in candidates[0]} == candidates[0]
    assert all(one["quality"] in QUALITIES and 0 <= one["start"] < one["end"] <= 24 for one in candidates)


def test_a_loop_is_cut_at_the_candidate_that_was_ordered(studio: Settings) -> None:
    best, second = make(studio).analysis, make(studio, candidate=2).analysis
    assert second["candidates"] == best["candidates"]
    assert {name: second[name] for name in best["candidates"][1]} == best["candidates"][1]
    missing = make(studio, candidate=5, duration=2)
    assert missing.status == "FAILED"
    assert "there is no candidate 5: for a loop of 2 seconds, this track has" in missing.error


def test_a_loop_is_cut_near_or_exactly_at_the_times_that_were_ordered(studio: Settings) -> None:
    order = {"start": 4.1, "end": 14.3}
    near, exact = make(studio, **order).analysis, make(studio, **order, exact=True).analysis
    assert [exact["start"], exact["end"]] == pytest.approx([4.1, 14.3], abs=1 / 44100)
    assert abs(near["end"] - near["start"] - 10.2) > 0.001 and near["score"] >= exact["score"]
    late = make(studio, start=10.0, end=25.0)
    assert late.status == "FAILED" and "cannot end at 25 seconds" in late.error


def test_statuses_and_progress_only_rise(studio: Settings) -> None:
    loop = make(studio, duration=60, format="MP3")
    seen = [event.data for event in Event.select().where(Event.entity_id == loop.loop_id).order_by(Event.event_id)]
    places = [LOOP_STATUSES.steps.index(event["status"]) for event in seen]
    progress = [event["progress"] for event in seen]
    assert places == sorted(places) and set(places) == {0, 1, 2, 3, 4}
    assert progress == sorted(progress) and progress[-1] == 100 and len(set(progress)) > 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the track has no audio file inside the storage folder"),
        (b"", "is empty"),
        (b"text " * 999, "is not audio that can be decoded"),
        ("short", "too short"),
        ("silent", "silent"),
    ],
)
def test_a_source_that_cannot_be_looped_fails_in_a_sentence(studio: Settings, content: Any, said: str) -> None:
    source = studio.storage_dir / "melody.wav"
    source.unlink()
    if isinstance(content, str):
        soundfile.write(source, [0.0] * 8000 * (1 if content == "short" else 10), 8000)
    elif content is not None:
        source.write_bytes(content)
    loop = make(studio)
    assert (loop.status, loop.lease_token) == ("FAILED", None) and said in loop.error, loop.error
    assert "\n" not in loop.error and stored(studio) == set()


def test_a_failed_loop_is_retried(studio: Settings, melody: Path) -> None:
    (studio.storage_dir / "melody.wav").unlink()
    loop = make(studio)
    shutil.copy(melody, studio.storage_dir / "melody.wav")
    loops.retry(loop.loop_id)
    assert LoopWorker(studio).tick(0)
    again = loops.get_by_id(loop.loop_id)
    assert (again.status, again.attempts, again.error) == ("COMPLETED", 2, None)


def test_a_loop_is_cancelled_while_it_is_cut(studio: Settings) -> None:
    loop = loops.create(track_id="track", duration=3600, format="MP3")
    working = threading.Thread(target=LoopWorker(studio).tick, args=(0,))
    working.start()
    wait_for(lambda: loops.get_by_id(loop.loop_id).status == "EXPORTING", 40)
    loops.cancel(loop.loop_id)
    working.join(10)
    assert loops.get_by_id(loop.loop_id).status == "CANCELLED" and stored(studio) == set()


@pytest.mark.parametrize("answers_again", [True, False])
def test_a_loop_stays_when_the_answer_to_its_recording_is_lost(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, answers_again: bool
) -> None:
    worker, end_and_claim = LoopWorker(studio), LoopRepository.end_and_claim

    def away(*_: Any) -> None:
        raise OperationalError("the connection dropped before the answer")

    def committed_without_an_answer(*calls: Any) -> None:
        end_and_claim(*calls)
        monkeypatch.undo()
        if not answers_again:
            monkeypatch.setattr(LoopRepository, "end_and_claim", away)
            worker.shutdown.set()
        away()

    monkeypatch.setattr(LoopRepository, "end_and_claim", committed_without_an_answer)
    loop = loops.create(track_id="track", duration=5, format="WAV")
    worker.tick(0)
    loop = loops.get_by_id(loop.loop_id)
    assert (loop.status, stored(studio)) == ("COMPLETED", {loop.result_path})


# --- workers that are killed, and workers of one kind


def worker_process(settings: Settings, *kinds: str) -> subprocess.Popen[bytes]:
    """flask worker as a process of its own."""
    place = {"DATABASE_URL": settings.database_url, "STORAGE_DIR": str(settings.storage_dir)}
    env = clean_environment(LEASE_SECONDS="0.5", **place)
    with (settings.storage_dir.parent / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "flask", "worker", *kinds]
        return Python(command, cwd=ROOT, env=env, stdout=log, stderr=log)


def finished(made: list[str]) -> bool:
    """True when every loop has ended."""
    return Loop.select().where(Loop.loop_id.in_(made), Loop.status.in_(DONE)).count() == len(made)


def test_loops_survive_the_kills_of_their_workers(studio: Settings) -> None:
    made = [
        loops.create(
            loop_id=f"l{number}", track_id="track", duration=40, format=("MP3", "WAV")[number % 2], max_attempts=60
        ).loop_id
        for number in range(thorough(8, 3))
    ]
    for _ in range(thorough(30, 5)):
        worker = worker_process(studio, "--loops")
        wait_for(lambda: Loop.select().where(Loop.lease_token.is_null(False)).exists() or finished(made), 40)
        time.sleep(random.random() * 0.9)  # anywhere in analysis, rendering and export
        worker.kill()
        worker.wait()
    last = worker_process(studio, "--loops")
    wait_for(lambda: finished(made), 90)
    last.terminate()
    assert last.wait(10) == 0
    ended = [loops.get_by_id(loop_id) for loop_id in made]
    assert {loop.status for loop in ended} == {"COMPLETED"} and stored(studio) == {loop.result_path for loop in ended}
    assert all(frames(studio, loop) == (40 * 44100, 44100) for loop in ended)


def test_a_loop_never_waits_behind_a_song(studio: Settings) -> None:
    song = jobs.create(prompt="p", job_type="synth", metadata={"duration": 600})
    loop = loops.create(track_id="track", duration=5, format="WAV")
    worker = worker_process(studio)
    wait_for(lambda: jobs.get_by_id(song.job_id).status != "pending", 40)
    wait_for(lambda: loops.get_by_id(loop.loop_id).status == "COMPLETED", 30)
    assert jobs.get_by_id(song.job_id).status != "completed"
    worker.terminate()
    assert worker.wait(10) == 0 and jobs.get_by_id(song.job_id).status == "pending"


def test_a_worker_of_one_kind_leaves_the_other(studio: Settings) -> None:
    jobs.create(job_id="song", prompt="p", job_type="synth", metadata={"duration": 3})
    loops.create(loop_id="loop", track_id="track", duration=5, format="WAV")
    worker = worker_process(studio, "--jobs")
    wait_for(lambda: jobs.get_by_id("song").status == "completed", 30)
    worker.terminate()
    worker.wait(10)
    assert loops.get_by_id("loop").status == "PENDING" and JobWorker(studio).tick(0) is False


def test_a_song_becomes_loops_over_rest_with_one_command_started(server: Callable[..., Server]) -> None:
    running = server(WORKERS="1").start()
    running.call(
        "POST", "/api/jobs", {"job_id": "s", "prompt": "pop", "job_type": "synth", "metadata": {"duration": 20}}
    )
    wait_for(lambda: running.call("GET", "/api/jobs/s")[1]["status"] == "completed", 60)
    [track] = running.call("GET", "/api/jobs/s/tracks")[1]["items"]
    for kind, seconds in (("WAV", 60), ("MP3", 120)):
        order = {"loop_id": kind, "duration": seconds, "format": kind}
        assert running.call("POST", track["urls"]["loops"], order)[0] == 201
    for kind, seconds in (("WAV", 60), ("MP3", 120)):
        loop = wait_for(lambda kind=kind: completed(running, kind), 60)
        status, half = running.call("GET", loop["result_url"], Range="bytes=0-99999")
        rest = running.call("GET", loop["result_url"], Range="bytes=100000-")[1]
        assert status == 206 and len(half) == 100_000
        file = running.log.with_name(f"whole.{kind.lower()}")
        file.write_bytes(half + rest)
        assert len(soundfile.read(file)[0]) == seconds * 44100


def completed(running: Server, loop_id: str) -> Any:
    """The loop when it is completed."""
    loop = running.call("GET", f"/api/loops/{loop_id}")[1]
    return loop if loop["status"] == "COMPLETED" else None
