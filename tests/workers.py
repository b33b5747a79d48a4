"""Workers in tests: in this process or as one of their own, with a stand-in for DiffRhythm."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from files.storage import Storage
from models import Event, Job
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.forked import Python
from tests.service import ROOT, clean_environment

jobs, tracks = JobRepository(), TrackRepository()
STANDIN = f"{sys.executable} {ROOT / 'tests' / 'standins' / 'infer.py'}"
COMMAND = (
    f"{STANDIN} --lrc-path {{lyrics_file}} --ref-prompt {{prompt}} --audio-length {{duration}} "
    "--output-dir {output_dir} --chunked"
)


def studio_settings(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the stand-in as DiffRhythm, and a lease of two seconds."""
    monkeypatch.setenv("STANDIN_SECONDS", "0.2")
    changes = {"diffrhythm_command": COMMAND, "lease_seconds": 2.0, "generator_timeout": 30.0}
    return ledger.model_copy(update=changes)


def running_in(folder: Path) -> list[list[str]]:
    """The command lines of other processes that name a folder."""
    command_lines = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["pid"] != os.getpid() and any(str(folder) in word for word in words):
            command_lines.append(words)
    return command_lines


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


def worker_process(settings: Settings, **environment: str) -> subprocess.Popen[bytes]:
    """A worker as a process of its own."""
    code = "from studio.worker import main; main()"
    env = clean_environment(
        DATABASE_URL=settings.database_url,
        STORAGE_DIR=str(settings.storage_dir),
        DIFFRHYTHM_COMMAND=COMMAND,
        **{"STANDIN_SECONDS": "0.2", "LEASE_SECONDS": "0.5", **environment},
    )
    with (settings.storage_dir.parent / "worker.log").open("ab") as log:
        return Python([sys.executable, "-c", code], cwd=ROOT, env=env, stdout=log, stderr=log)


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
