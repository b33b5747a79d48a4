"""The REST interface of leases: claim, heartbeat, release, cancel and retry, the same for jobs and loops."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response

from records.leases import WorkRepository
from repos import JobRepository, LoopRepository
from web import schemas
from web.answers import leased, record
from web.current import services
from web.operations import Operations
from web.waiting import answer_when, client_has_left

routes = Operations("/api")
jobs, loops = JobRepository(), LoopRepository()


@routes.route("POST", "/jobs/claim", answers={200: schemas.LeasedJob, 204: None})
def claim_job(body: schemas.JobClaim) -> Response:
    """Lease the best pending job: highest priority, then oldest. 204 if nothing is pending."""
    types = body.fields_set().get("job_types")
    return _claim(jobs, partial(jobs.claim_of, types) if types else jobs.claim, body, ("job", frozenset(types or ())))


@routes.route("POST", "/loops/claim", answers={200: schemas.LeasedLoop, 204: None})
def claim_loop(body: schemas.LoopClaim) -> Response:
    """Lease the best pending loop: highest priority, then oldest. 204 if nothing is pending."""
    return _claim(loops, loops.claim, body, ("loop", frozenset()))


@routes.route("POST", "/jobs/<id:job_id>/heartbeat", answers={200: schemas.Job}, problems=[404, 409])
def heartbeat_job(job_id: str, lease_token: str) -> Response:
    """Renew the lease. If cancel_requested is true, the worker must stop."""
    return record(jobs.heartbeat(job_id, lease_token))


@routes.route("POST", "/loops/<id:loop_id>/heartbeat", answers={200: schemas.Loop}, problems=[404, 409])
def heartbeat_loop(loop_id: str, lease_token: str) -> Response:
    """Renew the lease. If cancel_requested is true, the worker must stop."""
    return record(loops.heartbeat(loop_id, lease_token))


@routes.route("POST", "/jobs/<id:job_id>/release", answers={200: schemas.Job}, problems=[404, 409])
def release_job(job_id: str, lease_token: str) -> Response:
    """Put the job back into the queue; the attempt is not counted."""
    return record(jobs.release(job_id, lease_token))


@routes.route("POST", "/loops/<id:loop_id>/release", answers={200: schemas.Loop}, problems=[404, 409])
def release_loop(loop_id: str, lease_token: str) -> Response:
    """Put the loop back into the queue; the attempt is not counted."""
    return record(loops.release(loop_id, lease_token))


@routes.route("POST", "/jobs/<id:job_id>/cancel", answers={200: schemas.Job}, problems=[404])
def cancel_job(job_id: str) -> Response:
    """Cancel a job: a pending one at once, a leased one when its worker notices. A finished job is not changed."""
    return record(jobs.cancel(job_id))


@routes.route("POST", "/loops/<id:loop_id>/cancel", answers={200: schemas.Loop}, problems=[404])
def cancel_loop(loop_id: str) -> Response:
    """Cancel a loop: a pending one at once, a leased one when its worker notices. A finished loop is not changed."""
    return record(loops.cancel(loop_id))


@routes.route("POST", "/jobs/<id:job_id>/retry", answers={200: schemas.Job}, problems=[404, 409])
def retry_job(job_id: str) -> Response:
    """Queue a failed or cancelled job again."""
    return record(jobs.retry(job_id))


@routes.route("POST", "/loops/<id:loop_id>/retry", answers={200: schemas.Loop}, problems=[404, 409])
def retry_loop(loop_id: str) -> Response:
    """Queue a failed or cancelled loop again."""
    return record(loops.retry(loop_id))


def _claim(
    repo: WorkRepository[Any],
    claim: Callable[[str, float], Any],
    body: schemas.Claim,
    claim_of: tuple[str, frozenset[str]],
) -> Response:
    seconds = body.fields_set().get("lease_seconds", services().settings.lease_seconds)

    def look() -> Any:
        return None if client_has_left() else claim(body.worker, seconds)

    return answer_when(look, body.wait, lambda record: leased(record, repo.release), claim_of=claim_of)
