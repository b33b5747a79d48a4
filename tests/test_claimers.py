"""Many claimers at once, and a claimer that was frozen past its lease; on both databases."""

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from peewee import OperationalError

from database import database
from models import Job
from repos import JobRepository, LoopRepository
from tests.conftest import ROOT, clean_environment, thorough
from tests.forked import Python

jobs, loops = JobRepository(), LoopRepository()


CLAIMER = """
import threading
from database import release_connection
from repos import JobRepository, get_session
get_session().close()
print("ready", flush=True); input()
def claim():
    while job := JobRepository().claim("w", 600):
        job_ids.append(job.job_id)
    release_connection()
job_ids = []
threads = [threading.Thread(target=claim) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(*job_ids)
"""


def test_eight_processes_of_four_threads_claim_different_jobs(ledger: Any) -> None:
    count = thorough(5000, 500)
    with database.atomic():
        rows = [{"job_id": f"{number:05}", "prompt": "p"} for number in range(count)]
        for start in range(0, count, 500):
            Job.insert_many(rows[start : start + 500]).execute()
    env = clean_environment(DATABASE_URL=ledger.database_url, DB_POOL_SIZE="4")
    command = [sys.executable, "-c", CLAIMER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    claimers = [Python(command, cwd=ROOT, env=env, **pipes) for _ in range(8)]  # type: ignore[call-overload]
    for claimer in claimers:
        assert claimer.stdout.readline() == "ready\n"
    for claimer in claimers:
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    outputs = [claimer.communicate(timeout=120) for claimer in claimers]
    assert [error for _, error in outputs] == [""] * 8
    claims = [job_id for output, _ in outputs for job_id in output.split()]
    assert len(claims) == len(set(claims)) == count


FROZEN = """
import sys, time
from errors import LeaseLost
from repos import JobRepository, get_session
get_session()
repo = JobRepository()
for round in sys.stdin:
    job = repo.claim("frozen", 0.1)
    print("claimed", flush=True)
    try:
        while True:
            for change in ({"progress": 1}, {"status": "exporting"}, {"message": "late"}, {"error": "late"}):
                repo.update(job.job_id, lease_token=job.lease_token, **change)
                time.sleep(0.002)  # so that it can be frozen between two transactions
    except LeaseLost:
        print("lost", flush=True)
"""


def test_a_worker_that_was_frozen_past_its_lease_changes_nothing(ledger: Any, kind: str) -> None:
    rounds = thorough(200, 12) if kind == "sqlite" else thorough(50, 6)
    if kind == "sqlite":
        database.execute_sql("PRAGMA busy_timeout = 0")
    env = clean_environment(DATABASE_URL=ledger.database_url)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    worker = Python([sys.executable, "-c", FROZEN], cwd=ROOT, env=env, **pipes)  # type: ignore[call-overload]
    try:
        for number in range(rounds):
            take_over_from(worker, f"job-{number}")
    finally:
        worker.kill()
        worker.communicate()


def take_over_from(worker: Any, job_id: str) -> None:
    """One round: it claims and writes, is frozen, loses its job, wakes, and must find it lost."""
    jobs.create(job_id=job_id, prompt="p", max_attempts=9)
    worker.stdin.write("go\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "claimed\n"
    freeze_until_lost(worker.pid, job_id)
    try:
        mine = jobs.claim("me", 600)
        mine = jobs.update(job_id, lease_token=mine.lease_token, message="mine")
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert worker.stdout.readline() == "lost\n"
    assert jobs.get_by_id(job_id).__data__ == mine.__data__
    jobs.update(job_id, lease_token=mine.lease_token, status="completed")


def freeze_until_lost(pid: int, job_id: str) -> None:
    """SIGSTOP at a random moment; one frozen with a lock of the database in hand is woken, and frozen again."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(random.random() * 0.01)
        os.kill(pid, signal.SIGSTOP)
        if is_requeued_within(1, job_id):
            return
        os.kill(pid, signal.SIGCONT)
    pytest.fail(f"{job_id} was never put back")


def is_requeued_within(seconds: float, job_id: str) -> bool:
    """Whether the job's lease ran out and it went back to the queue; False at once when SQLite is locked."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if any(job.job_id == job_id for job in jobs.requeue_expired()):
                return True
        except OperationalError:
            return False
        time.sleep(0.01)
    return False
