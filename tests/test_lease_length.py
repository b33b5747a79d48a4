"""The length of a lease is a column of the record, as its claimer chose it; the token is a secret and nothing else."""

from datetime import timedelta

import pytest

from models import Job, Loop, utc_now
from repos import JobRepository, LoopRepository

jobs, loops = JobRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def test_a_renewal_lasts_as_long_as_the_record_says(job: Job) -> None:
    token = jobs.claim("w", 7.5).lease_token
    Job.update(lease_seconds=600.25).execute()
    for renew in (jobs.heartbeat, lambda key, token: jobs.update(key, lease_token=token, progress=1)):
        Job.update(lease_expires_at=1).execute()
        before = utc_now()
        assert before <= renew("job-1", token).lease_expires_at - timedelta(seconds=600.25) <= utc_now()


def test_a_token_does_not_tell_the_length_of_its_lease(loop: Loop) -> None:
    claimed = loops.claim("w", 7.5)
    assert claimed.lease_seconds == 7.5 and len(claimed.lease_token) == 32
    assert claimed.lease_expires_at - claimed.started_at == timedelta(seconds=7.5)


def test_work_that_is_not_leased_has_no_lease_length(job: Job) -> None:
    assert jobs.release("job-1", jobs.claim("w", 7.5).lease_token).lease_seconds is None
    token = jobs.claim("w", 7.5).lease_token
    assert jobs.update("job-1", lease_token=token, status="failed").lease_seconds is None
