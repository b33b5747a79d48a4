"""Jobs of every recipe, made by a worker with the generator's stand-in; what its traps end in."""

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from models import Job, Track
from settings import Settings
from studio.worker import JobWorker
from tests.repositories import COMMANDS, REPOSITORIES, lay_out_all
from tests.sounds import wav_bytes
from tests.workers import jobs, make, named, stored, tracks

pytestmark = pytest.mark.usefixtures("own_locks")
PROMPT = '--folk,"guitar",民谣'
LYRICS = "[verse]\none\ntwo\n\n[chorus]\nthree\n"
PROMPTED = [name for name in COMMANDS if name != "songbloom"]  # its style is a reference audio
WARM = ["diffrhythm_warm", "musicgen", "stable_audio_open"]
EXIT_0 = {
    "ace_step": ("refused", "❌ Generation failed: CUDA out of memory"),
    "songgeneration": ("no_cuda", "CUDA is not available"),
    "diffrhythm": ("nothing", "wrote no audio file"),
    "diffrhythm2": ("empty", "empty"),
    "yue": ("text", "not audio"),
    "heartmula": ("silent", "silent"),
}


@pytest.fixture
def kind() -> str:
    """SQLite: what a generator receives has nothing to do with the database."""
    return "sqlite"


@pytest.fixture
def studio(ledger: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with every recipe, in the home folder of a user who has installed every generator."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("STANDIN_SECONDS", "0")
    return ledger.model_copy(update={"generators": lay_out_all(home)})


def song(settings: Settings, name: str, **fields: Any) -> Job:
    """A finished job for a generator."""
    return make(settings, **{"job_type": name, "prompt": PROMPT, "metadata": {"lyrics": LYRICS}, **fields})


def reference_track(settings: Settings) -> str:
    """The id of a track of 11 seconds in the storage folder."""
    settings.storage_dir.mkdir(exist_ok=True)
    (settings.storage_dir / "reference.wav").write_bytes(wav_bytes(11))
    job = jobs.create(prompt="the song to follow", job_type="elsewhere")
    return str(tracks.create(job_id=job.job_id, file_path_wav="reference.wav").track_id)


@pytest.mark.parametrize("name", PROMPTED)
def test_a_job_makes_its_takes(studio: Settings, name: str) -> None:
    job = song(studio, name, takes=2, seed=2**32 - 1)
    assert (job.status, job.error) == ("completed", None)
    made = tracks.get_by_job_id(job.job_id)
    assert [track.take for track in made] == [1, 2] and stored(studio) == named(job)
    assert [track.seed for track in made] == ([2**32 - 1, 0] if name in ("ace_step", "yue") else [None, None])
    assert all(track.duration > 1 and track.provenance["generator"] == name for track in made)


@pytest.mark.parametrize("name", ["songbloom", "songgeneration", "ace_step", "yue", "musicgen", "diffrhythm_warm"])
def test_a_reference_track_reaches_the_generator(
    studio: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    record = tmp_path / "record.json"
    monkeypatch.setenv("STANDIN_RECORD", str(record))
    metadata = {"lyrics": LYRICS, "reference_track": reference_track(studio)}
    worker, job = JobWorker(studio), jobs.create(job_type=name, prompt=PROMPT, takes=2, metadata=metadata)
    with closing(worker.warm):
        assert worker.tick(0)
    assert jobs.get_by_id(job.job_id).error is None
    assert [track.take for track in tracks.get_by_job_id(job.job_id)] == [1, 2]
    assert any(
        word in record.read_text() for word in ("reference.wav", '"reference_seconds": 10', '"melody_rate": 8000')
    )


@pytest.mark.parametrize("name", WARM)
def test_a_warm_process_makes_the_takes_of_two_jobs(
    studio: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    records = tmp_path / "records"
    records.mkdir()
    monkeypatch.setenv("STANDIN_RECORD", str(records))
    made = [jobs.create(job_type=name, prompt=PROMPT, takes=2, seed=7, metadata={"lyrics": LYRICS}) for _ in range(2)]
    worker = JobWorker(studio)
    with closing(worker.warm):
        assert worker.tick(0) and worker.tick(0)
    assert [jobs.get_by_id(job.job_id).status for job in made] == ["completed"] * 2
    seeds = [[track.seed for track in tracks.get_by_job_id(job.job_id)] for job in made]
    assert seeds == [[7, 8]] * 2
    arrived = [json.loads(path.read_text()) for path in records.iterdir()]
    assert len({each["pid"] for each in arrived}) == 1 and sum("loaded" in each for each in arrived) == 1


@pytest.mark.parametrize("name", WARM)
def test_a_failing_warm_job_says_why_and_the_next_one_is_made(studio: Settings, name: str) -> None:
    failing, good = (jobs.create(job_type=name, prompt=prompt) for prompt in ("fail", PROMPT))
    worker = JobWorker(studio)
    with closing(worker.warm):
        assert worker.tick(0) and worker.tick(0)
    assert "CUDA out of memory. Tried to allocate 2.00 GiB" in jobs.get_by_id(failing.job_id).error
    assert jobs.get_by_id(good.job_id).status == "completed"


@pytest.mark.parametrize("name", PROMPTED)
def test_a_wrong_option_ends_in_an_error_that_names_it(studio: Settings, name: str) -> None:
    recipes = studio.generators.read_text()
    studio.generators.write_text(re.sub(r'(command = \[\s*"[^"]+", "[^"]+\.py",)', r'\1 "--loudness=11",', recipes))
    job = song(studio, name)
    assert job.status == "failed" and Track.select().count() == 0
    assert "ended with code 2" in job.error and "unrecognized arguments: --loudness=11" in job.error
    assert len(job.error) < 4000


@pytest.mark.parametrize("name", PROMPTED)
def test_a_traceback_ends_in_an_error_with_its_last_line(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", "traceback")
    job = song(studio, name)
    assert job.status == "failed" and "RuntimeError: CUDA error: device-side assert triggered" in job.error


@pytest.mark.parametrize("name", PROMPTED)
def test_a_missing_program_ends_in_an_error_that_names_it(studio: Settings, name: str) -> None:
    home, repository = studio.generators.parent, REPOSITORIES[name]
    for place in repository.programs:
        (home / repository.folder / place).unlink()
    job = song(studio, name)
    assert job.status == "failed" and ".py" in job.error and "No such file" in job.error


@pytest.mark.parametrize("name", EXIT_0)
def test_a_run_that_ends_well_without_music_is_a_failed_job(
    studio: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    behaviour, words = EXIT_0[name]
    monkeypatch.setenv("STANDIN_BEHAVIOUR", behaviour)
    job = song(studio, name, takes=2)
    assert job.status == "failed" and words in job.error, job.error
    assert Track.select().count() == 0 and stored(studio) == {f"jobs/{job.job_id}/generator.log"}


def test_what_ace_step_left_does_not_replace_the_next_prompt(studio: Settings) -> None:
    left = studio.generators.parent / "ACE-Step-1.5" / "instruction.txt"
    left.write_text("# Caption\nan old prompt\n\n# Lyric\nold\n")
    studio.generators.write_text(studio.generators.read_text().replace("thinking = false", "thinking = true"))
    job = song(studio, "ace_step")
    assert job.status == "failed" and "EOFError" in job.error  # it asks, and gets no answer
    assert PROMPT in left.read_text()
