"""What a worker makes of a job: real subprocesses, a stand-in with DiffRhythm's command line, real audio."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from files.storage import Storage
from models import Event
from repos import JobRepository, TrackRepository
from settings import Settings
from studio import display
from tests.conftest import SAMPLES, Server, thorough, wait_for
from tests.workers import (
    COMMAND,
    make,
    named,
    stored,
)

jobs, tracks = JobRepository(), TrackRepository()

pytestmark = [pytest.mark.measured, pytest.mark.usefixtures("nothing_is_left_running")]


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: leases are tested on both databases in test_leases.py."""
    return "sqlite"


def test_a_job_becomes_a_track_with_its_files(studio: Settings) -> None:
    job = make(studio, metadata={"genre": "Folk", "lyrics": "[00:10.00]la"})
    [track] = tracks.get_by_job_id(job.job_id)
    assert (job.status, job.progress, job.error, job.message, job.lease_token) == ("completed", 100, None, None, None)
    assert track.metadata == {"genre": "Folk"} and track.duration == pytest.approx(3, abs=0.001)
    assert stored(studio) == named(job)
    [made] = job.file_manifest["tracks"]
    root = Storage(studio).root
    assert made["wav"]["bytes"] == (root / track.file_path_wav).stat().st_size and len(made["mp3"]["sha256"]) == 64
    assert soundfile.info(root / track.file_path_mp3).format == "MP3"


def test_statuses_and_progress_only_rise(studio: Settings) -> None:
    job = make(studio)
    seen = [event.data for event in Event.select().where(Event.entity_id == job.job_id).order_by(Event.event_id)]
    order = ["pending", "loading_model", "preparing_prompt", "generating_audio", "exporting", "completed"]
    places = [order.index(each["status"]) for each in seen]
    progress = [each["progress"] for each in seen]
    assert places == sorted(places) and set(places) == {0, 1, 2, 3, 4, 5}
    assert progress == sorted(progress) and progress[-1] == 100 and len(set(progress)) > 2


@pytest.mark.parametrize("naming", ["new", "old"])
def test_every_new_audio_file_becomes_a_track(studio: Settings, monkeypatch: pytest.MonkeyPatch, naming: str) -> None:
    monkeypatch.setenv("STANDIN_NAMING", naming)
    studio = studio.model_copy(update={"diffrhythm_command": f"{COMMAND} --batch-infer-num 3"})
    job = make(studio)
    assert len(tracks.get_by_job_id(job.job_id)) == 3 and stored(studio) == named(job)


@pytest.mark.parametrize("prompt", ['"; rm -rf ~ #', "民谣, 木吉他", "$(x) `y` {duration} %s \\n 'q'", "--help", "🎧"])
def test_a_prompt_arrives_byte_for_byte(studio: Settings, monkeypatch: pytest.MonkeyPatch, prompt: str) -> None:
    record = studio.storage_dir.parent / "record.json"
    monkeypatch.setenv("STANDIN_RECORD", str(record))
    monkeypatch.setenv("API_TOKEN", "secret")
    command = COMMAND.replace("--ref-prompt {prompt}", "--ref-prompt={prompt}")
    studio = studio.model_copy(update={"diffrhythm_command": command})
    job = make(studio, prompt=prompt, metadata={"duration": 130, "lyrics": "[00:10.00]民谣"})
    told = json.loads(record.read_text())
    assert job.status == "completed", job.error
    assert f"--ref-prompt={prompt}" in told["argv"] and told["lyrics"] == "[00:10.00]民谣"
    assert told["argv"][told["argv"].index("--audio-length") + 1] == "130"
    assert "API_TOKEN" not in told["env"]


def test_lyrics_may_be_a_file_inside_the_storage_folder(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    record = studio.storage_dir.parent / "record.json"
    monkeypatch.setenv("STANDIN_RECORD", str(record))
    studio.storage_dir.mkdir(exist_ok=True)
    (studio.storage_dir / "night_train.lrc").write_text((SAMPLES / "night_train.lrc").read_text())
    assert make(studio, metadata={"lyrics_file": "night_train.lrc"}).status == "completed"
    assert json.loads(record.read_text())["lyrics"].startswith("[00:10.00]The platform hums")


@pytest.mark.parametrize("name", ["../secret.lrc", "/etc/passwd", "nothing.lrc", "link.lrc", ".", "", 7, "a\0b"])
def test_lyrics_outside_the_storage_folder_are_refused(studio: Settings, name: Any) -> None:
    studio.storage_dir.mkdir(exist_ok=True)
    (studio.storage_dir.parent / "secret.lrc").write_text("[00:01.00]secret")
    (studio.storage_dir / "link.lrc").symlink_to("../secret.lrc")
    job = make(studio, metadata={"lyrics_file": name})
    assert job.status == "failed" and "no such file inside the storage folder" in job.error


def test_a_worker_says_every_change_in_a_line(studio: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="ledger.worker"):
        job = make(studio)
    said = [record.getMessage() for record in caplog.records]
    assert said[1].startswith(f"job {job.job_id} claimed, attempt 1: folk")
    assert said[-1].strip() == f"job {job.job_id} completed 100%"
    assert any("generating_audio" in line for line in said) and any("exporting" in line for line in said)


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    display.show("job-1", "generating_audio", 50, "step 16/32")
    display.show("job-1", "completed", 100)
    shown = capsys.readouterr().err
    assert shown.count("█") == 45 and "\r" in shown and shown.endswith("\n") and "step 16/32" in shown


def test_the_samples_become_tracks_with_one_command_started(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(WORKERS="2").start()
    bodies = [{**body, "job_type": "synth"} for body in json.loads((SAMPLES / "requests.json").read_text())]
    bodies = bodies[:: thorough(1, 4)]
    for body in bodies:
        body["metadata"]["duration"] //= thorough(1, 16)
    (tmp_path / "output" / "night_train.lrc").write_text((SAMPLES / "night_train.lrc").read_text())
    made = [running.call("POST", "/api/jobs", body)[1] for body in bodies]
    for each, body in zip(made, bodies, strict=True):
        url = each["urls"]["self"]
        done = wait_for(lambda url=url: ended(running, url), 240)
        assert done["status"] == "completed", done
        [track] = running.call("GET", each["urls"]["tracks"])[1]["items"]
        for kind in ("wav", "mp3"):
            with soundfile.SoundFile(tmp_path / "output" / track[f"file_path_{kind}"]) as sound:
                frames = sum(len(block) for block in sound.blocks(65_536))
                assert abs(frames / sound.samplerate - track["duration"]) <= 0.001
        assert track["duration"] == body["metadata"]["duration"]
        assert b"100%" in running.call("GET", each["urls"]["log"])[1]


def ended(running: Server, url: str) -> Any:
    """The job when it has ended, else None."""
    job = running.call("GET", url)[1]
    return job if job["status"] in ("completed", "failed", "cancelled") else None


def test_the_log_is_read_whole_by_range_and_by_its_tail(server: Callable[..., Server]) -> None:
    running = server(WORKERS="1").start()
    running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p", "job_type": "synth", "metadata": {"duration": 5}})
    wait_for(lambda: ended(running, "/api/jobs/j"), 60)
    whole = running.call("GET", "/api/jobs/j/log")[1]
    assert running.call("GET", "/api/jobs/j/log", Range="bytes=0-9") == (206, whole[:10])
    assert running.call("GET", "/api/jobs/j/log", Range="bytes=-7") == (206, whole[-7:])
    assert running.call("GET", "/api/jobs/j/log?tail=2")[1].splitlines() == whole.splitlines()[-2:]
    assert running.call("GET", "/api/jobs/j/log", Range="bytes=999999-")[0] == 416
    assert running.call("GET", "/api/jobs/j/log", Range="nonsense") == (200, whole)
    assert running.call("GET", "/api/jobs/nobody/log")[0] == 404
