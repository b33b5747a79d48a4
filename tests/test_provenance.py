"""Seeds and provenance of tracks: what made them, so that they can be made again."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

from files.storage import sha256
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.own_generator import takes_of

jobs, tracks = JobRepository(), TrackRepository()
SYNTH = {"prompt": "calm piano", "job_type": "synth", "metadata": {"duration": 3}}
REFERENCE = [sys.executable, "make.py", "{output_dir}", "{reference_file}"]


@pytest.fixture
def kind() -> str:
    """SQLite: what a worker makes does not depend on the database."""
    return "sqlite"


def test_the_same_seed_gives_the_same_sound_and_another_seed_another(ledger: Settings) -> None:
    made = [jobs.create(**SYNTH, seed=seed) for seed in (5, 5, 6)]
    worker = JobWorker(ledger)
    assert all(worker.tick(0) for _ in made)
    paths = [ledger.storage_dir / tracks.get_by_job_id(job.job_id)[0].file_path_wav for job in made]
    first, again, other = map(sha256, paths)
    assert first == again != other


def test_a_job_without_a_seed_keeps_the_one_that_is_drawn(ledger: Settings) -> None:
    job = jobs.create(**SYNTH)
    assert job.seed is None and JobWorker(ledger).tick(0)
    seed = jobs.get_by_id(job.job_id).seed
    assert seed is not None and takes_of(job) == [(1, seed)]


def test_the_seed_of_the_last_takes_begins_again_at_0(ledger: Settings) -> None:
    job = jobs.create(**SYNTH, seed=2**32 - 1, takes=2)
    assert JobWorker(ledger).tick(0)
    assert takes_of(job) == [(1, 2**32 - 1), (2, 0)]


def test_a_track_says_what_made_it(made: Any, ledger: Settings) -> None:
    version = [sys.executable, "-c", "print('v1.2\\nmore')"]
    job = made("write('a.wav')", version=version, licence="non-commercial")
    (track,) = tracks.get_by_job_id(job.job_id)
    made_by = track.provenance
    assert made_by["generator"] == "own" and made_by["version"] == "v1.2" and made_by["licence"] == "non-commercial"
    assert made_by["command"] == [sys.executable, "make.py", "made", "1", "7", "folk"] and made_by["seed"] == 7
    assert made_by["files"]["wav"]["sha256"] == sha256(ledger.storage_dir / track.file_path_wav)
    assert made_by["seconds"] > 0 and made_by["parameters"] == {}


def test_a_generator_without_a_seed_makes_tracks_without_one(made: Any) -> None:
    command = [sys.executable, "make.py", "{output_dir}", "1", "2"]
    job = made("write('a.wav')", command=command)
    assert job.seed == 7 and takes_of(job) == [(1, None)]


def test_a_reference_is_the_file_of_another_track(made: Any, ledger: Settings, tmp_path: Path) -> None:
    source = tracks.get_by_job_id(made("write('a.wav')").job_id)[0]
    code = "import shutil; shutil.copy(sys.argv[2], folder / 'copy.wav')"
    job = made(code, metadata={"reference_track": source.track_id}, command=REFERENCE)
    (copy,) = tracks.get_by_job_id(job.job_id)
    assert soundfile.info(ledger.storage_dir / copy.file_path_wav).frames == 16_000
    assert copy.provenance["command"][-1].endswith(source.file_path_wav) and "reference_track" not in copy.metadata


@pytest.mark.parametrize(("metadata", "reason"), [({}, "expected the id"), ({"reference_track": "x"}, 'is "x"')])
def test_a_missing_reference_fails_the_job(made: Any, metadata: Any, reason: str) -> None:
    job = made("write('a.wav')", metadata=metadata, command=REFERENCE)
    assert job.status == "failed" and job.error.startswith("metadata.reference_track") and reason in job.error


def test_a_version_that_cannot_be_read_is_null(made: Any) -> None:
    job = made("write('a.wav')", version=["no-such-program"])
    assert tracks.get_by_job_id(job.job_id)[0].provenance["version"] is None


def test_a_version_has_the_environment_of_the_generator(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "my-version").write_text("#!/bin/sh\necho $NAME $HOME\n")
    (tmp_path / "my-version").chmod(0o755)
    job = made("write('a.wav')", version=["my-version"], env={"NAME": "v2"})
    assert tracks.get_by_job_id(job.job_id)[0].provenance["version"] == f"v2 {os.environ['HOME']}"


def test_secrets_of_a_command_line_are_not_kept(made: Any) -> None:
    secrets = ["--hf-token=abc", "--api_key", "abc", "HF_TOKEN=abc", "tokens.txt", "plain=1"]
    job = made("write('a.wav')", command=[sys.executable, "make.py", "{output_dir}", *secrets])
    kept = tracks.get_by_job_id(job.job_id)[0].provenance["command"]
    assert kept[3:] == ["--hf-token=…", "--api_key", "…", "HF_TOKEN=…", "tokens.txt", "plain=1"]


def test_files_are_sorted_by_their_numbers_whatever_their_names(made: Any) -> None:
    job = made("write('pop 5²3 x.wav'); write('take 10.wav'); write('take 2.wav')", takes=3, batch=True)
    names = [Path(track.file_path_wav).stem for track in tracks.get_by_job_id(job.job_id)]
    assert job.status == "completed", job.error
    assert names[1:] == ["take-2-2", "take-10-3"]
