"""Workers that are stopped, killed, or many: every job is done once, and no file is left."""

import random
import time

import pytest

from database import database
from models import Job
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.conftest import KINDS, thorough, wait_for
from tests.workers import check_that_each_was_done_once, finished, worker_process

jobs, tracks = JobRepository(), TrackRepository()
on_both = pytest.mark.parametrize("kind", KINDS)

pytestmark = pytest.mark.usefixtures("nothing_is_left_running")


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: leases are tested on both databases in test_leases.py."""
    return "sqlite"


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
    for _ in range(thorough(50, 8)):
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
