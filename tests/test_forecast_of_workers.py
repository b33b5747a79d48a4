"""Forecasts that came true: real workers, and a generator that sleeps in proportion to the length of its music."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tomli_w

from models import Job, utc_now
from records import workers
from records.forecast import forecast
from repos import JobRepository, set_paused
from settings import Settings
from tests.conftest import thorough, wait_for
from tests.own_generator import generator
from tests.workers import worker_process

jobs = JobRepository()
# It counts from the moment when its worker has prepared it: how long Python takes to start does not matter.
SLEEPS = """
import time
prepared = (folder.parent / "metadata.json").stat().st_mtime
time.sleep(max(0, prepared + 0.05 * float(sys.argv[5]) - time.time()))
write('a.wav')
"""
LEARNT = [(1, 30), (1, 120), (2, 60)]  # (takes, seconds of music)
LEAST, MOST = thorough((0.75, 1.25), (0.5, 1.75))  # of the time that was said; more while other tests run
QUEUED = [(1, 200), (3, 40), (2, 100), (4, 30)]


@pytest.fixture
def start(ledger: Settings, tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """Starts so many workers with that generator, and returns when they have announced themselves."""
    recipe = generator(tmp_path / "generator", SLEEPS, seconds={"min": 10, "max": 300})
    recipe["command"] += ["{duration}"]
    file = tmp_path / "generators.toml"
    file.write_text(tomli_w.dumps({"own": recipe}))
    ledger.storage_dir.mkdir()
    running: list[subprocess.Popen[bytes]] = []

    def start_some(number: int) -> None:
        running.extend(worker_process(ledger, GENERATORS=str(file), LEASE_SECONDS="60") for _ in range(number))
        wait_for(lambda: len(workers.live()) == number, 60)

    yield start_some
    for process in running:
        process.kill()
        process.wait(10)


def queue(orders: list[tuple[int, int]]) -> list[str]:
    """Jobs of so many takes and seconds; their ids."""
    return [
        jobs.create(prompt="folk", job_type="own", takes=takes, metadata={"duration": length}).job_id
        for takes, length in orders
    ]


def wait_until_done(ids: list[str]) -> None:
    """Wait until the workers have made these jobs."""
    done = Job.select().where(Job.job_id.in_(ids), Job.status == "completed")
    wait_for(lambda: done.count() == len(ids), 200)


@pytest.mark.parametrize(("kind", "number"), [("sqlite", 1), ("postgresql", 2)])
def test_jobs_of_other_lengths_and_takes_are_done_when_it_was_said(
    start: Callable[[int], None], kind: str, number: int
) -> None:
    start(number)
    wait_until_done(queue(LEARNT))
    set_paused(True)
    ids = queue(QUEUED)
    jobs.make_next(ids[-1])
    said = forecast()
    assert sum(said.positions.values()) == 10 and said.all_done_in is not None
    set_paused(False)
    begun = utc_now()
    wait_until_done(ids)
    took = {job_id: (job.finished_at - begun).total_seconds() for job_id, job in jobs.get_by_ids(ids).items()}
    parts = {job_id: round(took[job_id] / said.done_in[job_id].seconds, 2) for job_id in ids}
    parts["all"] = max(took.values()) / said.all_done_in.seconds
    assert all(LEAST <= part <= MOST for part in parts.values()), parts
