"""Leases: who may change leased work, and what becomes of lost work; on both databases."""

from datetime import timedelta

import pytest

from errors import LeaseLost, WrongStatus
from models import Job, Loop, Track, utc_now
from repos import JobRepository, LoopRepository

jobs, loops = JobRepository(), LoopRepository()
on_ledger = pytest.mark.usefixtures("ledger")


def expire(job_id: str) -> None:
    """Let the lease of a job run out now."""
    Job.update(lease_expires_at=1).where(Job.job_id == job_id).execute()


@on_ledger
def test_the_best_is_claimed_first() -> None:
    for number, priority in enumerate([0, 5, 0, 5]):
        jobs.create(job_id=f"{number}", prompt="p", priority=priority)
    claimed = [jobs.claim("w") for _ in range(5)]
    assert [job and job.job_id for job in claimed] == ["1", "3", "0", "2", None]
    assert len({job.lease_token for job in claimed if job}) == 4


@on_ledger
def test_a_claim_starts_the_first_attempt(job: Job) -> None:
    claimed = jobs.claim("me", 30)
    assert (claimed.status, claimed.worker, claimed.attempts) == ("loading_model", "me", 1)
    assert (claimed.lease_expires_at - claimed.started_at).total_seconds() == 30


@on_ledger
def test_a_claim_can_name_the_types_it_can_do(job: Job) -> None:
    assert jobs.claim_of(["synth"], "w") is None
    assert jobs.claim_of(["diffrhythm"], "w") == job


@on_ledger
def test_loops_are_claimed_as_jobs_are(loop: Loop) -> None:
    claimed = loops.claim("w")
    assert (claimed.status, claimed.attempts) == ("ANALYZING", 1)
    done = loops.update("loop-1", lease_token=claimed.lease_token, status="COMPLETED", result_path="a.mp3")
    assert (done.progress, done.lease_token, done.lease_expires_at) == (100, None, None)


@on_ledger
def test_only_the_holder_changes_leased_work(job: Job) -> None:
    token = jobs.claim("w").lease_token
    for wrong in (None, token[:-1], "x"):
        for name, value in [("progress", 9), ("status", "completed"), ("message", "m"), ("file_manifest", {})]:
            with pytest.raises(LeaseLost, match="only the holder"):
                jobs.update("job-1", lease_token=wrong, **{name: value})
    assert jobs.update("job-1", metadata={"anyone": "may"}, priority=3).progress == 0
    assert jobs.update("job-1", lease_token=token, progress=9).progress == 9


@on_ledger
def test_every_change_by_the_holder_renews_the_lease(job: Job) -> None:
    claimed = jobs.claim("w", 7)
    for renew in (lambda: jobs.update("job-1", lease_token=claimed.lease_token, progress=1),
                  lambda: jobs.heartbeat("job-1", claimed.lease_token)):  # fmt: skip
        expire("job-1")
        before = utc_now()
        assert before <= renew().lease_expires_at - timedelta(seconds=7) <= utc_now()


@on_ledger
def test_an_end_ends_the_lease(job: Job) -> None:
    token = jobs.claim("w").lease_token
    assert jobs.update("job-1", lease_token=token, status="failed", error="no GPU").lease_token is None
    with pytest.raises(LeaseLost):
        jobs.heartbeat("job-1", token)
    with pytest.raises(LeaseLost):
        jobs.release("job-1", token)


@on_ledger
def test_a_release_gives_back_without_counting_the_attempt(job: Job) -> None:
    token = jobs.claim("w").lease_token
    back = jobs.release("job-1", token)
    assert (back.status, back.attempts, back.worker, back.progress) == ("pending", 0, None, 0)
    assert jobs.claim("v") == job


@on_ledger
def test_unknown_ids_are_none(job: Job) -> None:
    assert jobs.heartbeat("nobody", "t") is jobs.release("nobody", "t") is jobs.cancel("nobody") is None
    assert jobs.retry("nobody") is None and jobs.requeue_expired() == []


@on_ledger
def test_lost_work_goes_back_until_its_attempts_are_used_up(job: Job) -> None:
    for attempt in (1, 2, 3):
        claimed = jobs.claim("w")
        assert claimed.attempts == attempt
        expire("job-1")
        [lost] = jobs.requeue_expired()
        assert lost.lease_token == claimed.lease_token
    assert (lost.status, lost.error) == ("failed", "worker lost after 3 attempts")
    again = jobs.retry("job-1")
    assert (again.status, again.error, again.attempts, again.prompt) == ("pending", None, 3, job.prompt)
    assert jobs.claim("w").metadata == job.metadata


@on_ledger
def test_a_cancel_is_at_once_while_nobody_is_at_it(job: Job) -> None:
    cancelled = jobs.cancel("job-1")
    assert cancelled.status == "cancelled" and cancelled.finished_at is not None
    assert jobs.cancel("job-1").updated_at == cancelled.updated_at
    assert jobs.claim("w") is None


@on_ledger
def test_a_cancel_of_leased_work_is_the_workers_to_see(job: Job) -> None:
    token = jobs.claim("w").lease_token
    asked = jobs.cancel("job-1")
    assert (asked.status, asked.cancel_requested) == ("loading_model", True)
    assert jobs.cancel("job-1").updated_at == asked.updated_at
    assert jobs.heartbeat("job-1", token).cancel_requested
    assert jobs.update("job-1", lease_token=token, status="cancelled").status == "cancelled"


@on_ledger
def test_a_cancel_outlives_the_worker(job: Job) -> None:
    token = jobs.claim("w").lease_token
    jobs.cancel("job-1")
    expire("job-1")
    assert jobs.requeue_expired()[0].status == "cancelled"
    assert jobs.retry("job-1").cancel_requested is False
    token = jobs.claim("w").lease_token
    jobs.cancel("job-1")
    assert jobs.release("job-1", token).status == "cancelled"


@on_ledger
def test_finished_work_is_neither_cancelled_nor_retried(job: Job) -> None:
    done = jobs.update("job-1", status="completed")
    assert jobs.cancel("job-1").updated_at == done.updated_at
    with pytest.raises(WrongStatus, match="create a new job instead"):
        jobs.retry("job-1")


@on_ledger
def test_tracks_and_completion_come_together_or_not_at_all(job: Job) -> None:
    token = jobs.claim("w").lease_token
    expire("job-1")
    jobs.requeue_expired()
    with pytest.raises(LeaseLost):
        jobs.complete("job-1", token, [{"duration": 3}])
    assert Track.select().count() == 0
    token = jobs.claim("w").lease_token
    assert jobs.complete("job-1", token, [{"duration": 3}, {"duration": 4}]).status == "completed"
    assert Track.select().count() == 2
