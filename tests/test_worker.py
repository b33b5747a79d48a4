"""The worker and the generators: real subprocesses, a stand-in with DiffRhythm's command line, real audio."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import soundfile
from peewee import OperationalError

from database import database
from files.storage import Storage
from models import Event, Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from studio import display
from studio.generators import configured, percent_of, status_of
from studio.worker import JobWorker
from tests.conftest import KINDS, ROOT, SAMPLES, Server, clean_environment, thorough, wait_for

STANDIN = f"{sys.executable} {ROOT / 'tests' / 'standins' / 'infer.py'}"
on_both = pytest.mark.parametrize("kind", KINDS)
COMMAND = (
    f"{STANDIN} --lrc-path {{lyrics_file}} --ref-prompt {{prompt}} --audio-length {{duration}} "
    "--output-dir {output_dir} --chunked"
)
jobs, tracks = JobRepository(), TrackRepository()


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: leases are tested on both in test_leases.py."""
    return "sqlite"


@pytest.fixture
def studio(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the stand-in as DiffRhythm, and a lease of two seconds."""
    monkeypatch.setenv("STANDIN_SECONDS", "0.2")
    changes = {"diffrhythm_command": COMMAND, "lease_seconds": 2.0, "generator_timeout": 30.0}
    return ledger.model_copy(update=changes)


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path) -> Iterator[None]:
    """No process that knows this test's folder outlives it."""
    yield
    wait_for(lambda: not running_in(tmp_path), 5, lambda: str(running_in(tmp_path)))


def running_in(folder: Path) -> list[list[str]]:
    """The command lines of other processes that name a folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["pid"] != os.getpid() and any(str(folder) in word for word in words):
            found.append(words)
    return found


def stored(settings: Settings) -> set[str]:
    """Every file of the storage folder, relative to it."""
    root = Storage(settings).root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def named(job: Job) -> set[str]:
    """Every file the records of a job name."""
    files = {job.file_manifest["log"]} if job.file_manifest else set()
    for track in tracks.get_by_job_id(job.job_id):
        files |= {track.file_path_wav, track.file_path_mp3}
    return files


def make(settings: Settings, **fields: Any) -> Job:
    """Record a job, have a worker do it, and read it again."""
    job = jobs.create(**{"prompt": "folk, acoustic guitar", **fields})
    assert JobWorker(settings).tick(0)
    return jobs.get_by_id(job.job_id)


# --- what it makes


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
    assert progress == sorted(progress) and progress[-1] == 100 and len(set(progress)) > 3


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


# --- what goes wrong

TROUBLES = [
    ("fail", "ended with code 1: CUDA out of memory"),
    ("chatter", "that was a hundred megabytes"),
    ("nothing", "wrote no audio file"),
    ("empty", "output.wav is empty: it has 0 bytes"),
    ("text", "output.wav is not audio that can be decoded"),
    ("hang", "took longer than 1 seconds"),
    ("stubborn", "took longer than 1 seconds"),
    ("forks", "took longer than 1 seconds"),
]


@pytest.mark.parametrize(("behaviour", "error"), TROUBLES)
def test_a_generator_in_trouble_is_a_failed_job(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, behaviour: str, error: str
) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", behaviour)
    slow = behaviour in ("hang", "stubborn", "forks")
    job = make(studio.model_copy(update={"generator_timeout": 1.0 if slow else 30.0}))
    assert (job.status, job.lease_token) == ("failed", None) and error in job.error
    assert len(job.error) < 4000 and Track.select().count() == 0
    assert stored(studio) == {f"jobs/{job.job_id}/generator.log"}
    assert Storage(studio).log(job.job_id).stat().st_size < 17 * 1024 * 1024


def test_a_command_that_does_not_exist_is_a_failed_job(studio: Settings) -> None:
    job = make(studio.model_copy(update={"diffrhythm_command": "no-such-program {prompt} {output_dir}"}))
    assert job.status == "failed" and "cannot start no-such-program: No such file" in job.error


def test_a_failed_job_is_retried_from_a_clean_start(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    job = make(studio)
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "")
    jobs.retry(job.job_id)
    assert JobWorker(studio).tick(0)
    again = jobs.get_by_id(job.job_id)
    assert (again.status, again.error, again.attempts) == ("completed", None, 2)
    assert stored(studio) == named(again)


@pytest.mark.parametrize("behaviour", ["hang", "stubborn", "forks"])
def test_a_cancel_ends_the_generator_within_three_seconds(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, behaviour: str
) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", behaviour)
    job = jobs.create(prompt="p")
    working = threading.Thread(target=lambda: JobWorker(studio).tick(0))
    working.start()
    wait_for(lambda: jobs.get_by_id(job.job_id).progress > 0, 30)
    jobs.cancel(job.job_id)
    began = time.monotonic()
    wait_for(lambda: not running_in(tmp_path), 5)
    assert time.monotonic() - began < 3
    working.join(30)
    ended = jobs.cancel(job.job_id)
    assert (ended.status, Track.select().count(), ended.progress < 100) == ("cancelled", 0, True)
    assert stored(studio) == {f"jobs/{job.job_id}/generator.log"}


def test_a_job_deleted_while_it_runs_leaves_nothing(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "hang")
    job = jobs.create(prompt="p")
    working = threading.Thread(target=lambda: JobWorker(studio).tick(0))
    working.start()
    wait_for(lambda: jobs.get_by_id(job.job_id).progress > 0, 30)
    jobs.delete(job.job_id)
    working.join(30)
    assert not working.is_alive() and Job.select().count() == 0


# --- reading what generators print


@pytest.mark.parametrize(
    ("line", "status", "percent"),
    [
        ("Loading checkpoint shards: 100%|####|", "loading_model", None),
        ("encoding the prompt", "preparing_prompt", None),
        (" 34%|###4      | 11/32 [00:03<00:06,  3.4it/s]", "generating_audio", 34),
        ("sampling 12.5 %", "generating_audio", 12),
        ("inference cost 12.34 seconds", "exporting", None),
        ("250% nonsense", "generating_audio", None),
        ("hello", None, None),
    ],
)
def test_lines_tell_status_and_progress(line: str, status: str | None, percent: int | None) -> None:
    assert (status_of(line), percent_of(line)) == (status, percent)


def test_without_a_command_only_synth_is_configured() -> None:
    assert set(configured(Settings(_env_file=None))) == {"synth"}


# --- workers that are stopped, killed, and many


def worker_process(settings: Settings, **environment: str) -> subprocess.Popen[bytes]:
    """A worker as a process of its own."""
    code = "from studio.worker import main; main()"
    env = clean_environment(
        DATABASE_URL=settings.database_url,
        STORAGE_DIR=str(settings.storage_dir),
        DIFFRHYTHM_COMMAND=COMMAND,
        LEASE_SECONDS="0.5",
        **{"STANDIN_SECONDS": "0.2", **environment},
    )
    with (settings.storage_dir.parent / "worker.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, stdout=log, stderr=log)


def test_sigterm_releases_the_job_and_another_worker_does_it(studio: Settings) -> None:
    job = jobs.create(prompt="p")
    first = worker_process(studio, STANDIN_BEHAVIOUR="stubborn")
    wait_for(lambda: jobs.get_by_id(job.job_id).progress > 0, 40)
    first.terminate()
    assert first.wait(10) == 0
    released = jobs.get_by_id(job.job_id)
    assert (released.status, released.attempts, released.lease_token) == ("pending", 0, None)
    assert JobWorker(studio).tick(0) and jobs.get_by_id(job.job_id).status == "completed"


def test_jobs_survive_the_kills_of_their_workers(studio: Settings) -> None:
    made = [jobs.create(job_id=f"k{number}", prompt="p", max_attempts=60).job_id for number in range(thorough(12, 5))]
    for _ in range(thorough(50, 12)):
        worker = worker_process(studio)
        claimed = wait_for(lambda: Job.select().where(Job.lease_token.is_null(False)).exists() or finished(made), 40)
        assert claimed
        time.sleep(random.random() * 0.9)  # anywhere from loading to exporting
        worker.kill()
        worker.wait()
    last = worker_process(studio)
    wait_for(lambda: finished(made), 90)
    wait_for(lambda: not Job.select().where(Job.lease_token.is_null(False)).exists(), 30)
    last.terminate()
    assert last.wait(10) == 0
    check_that_each_was_done_once(studio, made)


def finished(made: list[str]) -> bool:
    """True when every job is completed."""
    return Job.select().where(Job.job_id.in_(made), Job.status == "completed").count() == len(made)


def check_that_each_was_done_once(settings: Settings, made: list[str]) -> None:
    """One end, one set of tracks, and only files that records name."""
    for job_id in made:
        ends = [
            event for event in Event.select().where(Event.entity_id == job_id) if event.data["status"] == "completed"
        ]
        assert len(ends) == 1 and len(tracks.get_by_job_id(job_id)) == 1
    assert stored(settings) == set().union(*(named(jobs.get_by_id(job_id)) for job_id in made))


@on_both
def test_several_workers_never_do_the_same_job(studio: Settings) -> None:
    made = [jobs.create(job_id=f"m{number}", prompt="p").job_id for number in range(8)]
    workers = [worker_process(studio) for _ in range(3)]
    wait_for(lambda: finished(made), 60)
    for worker in workers:
        worker.terminate()
        assert worker.wait(10) == 0
    check_that_each_was_done_once(studio, made)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_worker_outlives_a_database_that_drops_its_connections(studio: Settings) -> None:
    made = [jobs.create(job_id=f"d{number}", prompt="p").job_id for number in range(3)]
    worker = worker_process(studio)
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    drop = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    for _ in range(8):
        wait_for(lambda: Job.select().where(Job.lease_token.is_null(False)).exists() or finished(made), 30)
        database.execute_sql(drop).fetchall()
    wait_for(lambda: finished(made), 60)
    assert worker.poll() is None
    worker.terminate()
    assert worker.wait(10) == 0
    check_that_each_was_done_once(studio, made)


@pytest.mark.parametrize("answers_again", [True, False])
def test_tracks_stay_when_the_answer_to_their_recording_is_lost(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, answers_again: bool
) -> None:
    worker, complete = JobWorker(studio), JobRepository.complete

    def away(*_: Any) -> None:
        raise OperationalError("the connection dropped before the answer")

    def committed_but_unheard(*told: Any, **more: Any) -> None:
        complete(*told, **more)
        monkeypatch.undo()
        if not answers_again:
            monkeypatch.setattr(JobRepository, "complete", away)
            worker.shutdown.set()
        away()

    monkeypatch.setattr(JobRepository, "complete", committed_but_unheard)
    job = jobs.create(prompt="folk", job_type="synth", metadata={"duration": 3})
    worker.tick(0)
    job = jobs.get_by_id(job.job_id)
    assert (job.status, stored(studio)) == ("completed", named(job))


def test_a_full_disk_costs_no_job_its_attempt(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    job, looks = jobs.create(prompt="folk"), iter([False, True, True])
    monkeypatch.setattr(Storage, "is_full", lambda _: next(looks))
    with pytest.raises(OSError, match="disk of the storage folder is full"):
        JobWorker(studio).tick(0)
    job = jobs.get_by_id(job.job_id)
    assert (job.status, job.attempts, job.error) == ("pending", 0, None) and "make room" in job.message


def test_nothing_is_claimed_while_the_disk_is_full(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.create(prompt="folk")
    monkeypatch.setattr("storage.FULL_BYTES", 2**60)
    with pytest.raises(OSError, match="disk of the storage folder is full"):
        JobWorker(studio).tick(0)
    assert jobs.get_by_id(job.job_id).status == "pending"


def test_a_job_that_fills_the_disk_by_itself_fails(studio: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "fail")
    looks = iter([False, True, False])
    monkeypatch.setattr(Storage, "is_full", lambda _: next(looks))
    job = make(studio)
    assert job.status == "failed" and "more room than the disk has" in job.error


def test_a_worker_that_cannot_write_fails_the_job_and_goes_on(studio: Settings) -> None:
    studio.storage_dir.mkdir(exist_ok=True)
    (studio.storage_dir / "jobs").write_text("a file where a folder should be")
    job = make(studio)
    assert job.status == "failed" and "the worker cannot go on" in job.error


def test_what_a_killed_attempt_left_is_removed_by_the_next(studio: Settings) -> None:
    job = jobs.create(prompt="folk", job_type="synth", metadata={"duration": 3})
    for name in ("0123456789ab", "ba9876543210"):
        folder = Storage(studio).folder("job", job.job_id) / name
        folder.mkdir(parents=True)
        (folder / "song.wav").write_text("left")
    tracks.create(track_id="by-hand", job_id=job.job_id, file_path_wav=f"jobs/{job.job_id}/ba9876543210/song.wav")
    assert JobWorker(studio).tick(0)
    assert "left" in (folder / "song.wav").read_text() and not folder.with_name("0123456789ab").exists()


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
