"""A generator of a few lines for tests: its recipe, and the jobs that it makes."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import tomli_w

from models import Job, new_id
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker

# write(name, level) writes a sound.
GENERATOR = """
import array, os, pathlib, sys, wave
folder = pathlib.Path(sys.argv[1])
take, seed = [int(word) if word.isdigit() else 0 for word in (*sys.argv[2:4], "0", "0")][:2]

def write(name, level=9000):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(array.array("h", [level, -level] * 8000).tobytes())

"""


def generator(folder: Path, code: str, **more: Any) -> dict[str, Any]:
    """The recipe of a generator with this code."""
    folder.mkdir(exist_ok=True)
    (folder / "make.py").write_text(GENERATOR + textwrap.dedent(code))
    command = [sys.executable, "make.py", "{output_dir}", "{take}", "{seed}", "{prompt}"]
    return {"command": command, "cwd": str(folder), **more}


def takes_of(job: Job) -> list[tuple[int | None, int | None]]:
    """(take, seed) of each track, oldest first."""
    return [(track.take, track.seed) for track in TrackRepository().get_by_job_id(job.job_id)]


class Maker:
    """made(code, takes, metadata, **recipe): a job of a generator with this code, after one attempt of a worker."""

    def __init__(self, ledger: Settings, folder: Path) -> None:
        self.ledger, self.folder = ledger, folder

    def __call__(self, code: str, takes: int = 1, metadata: Any = None, **more: Any) -> Job:
        recipe = generator(self.folder / "generator", code, **more)
        file = self.folder / f"{new_id()}.toml"
        file.write_text(tomli_w.dumps({"own": recipe}))
        jobs = JobRepository()
        job = jobs.create(prompt="folk", job_type="own", takes=takes, seed=7, metadata=metadata or {})
        assert JobWorker(self.ledger.model_copy(update={"generators": file})).tick(0)
        return jobs.get_by_id(job.job_id)
