"""REST: the queue of jobs: pause it, and let it go on."""

from flask import Response

from repos import JobRepository, is_paused, set_paused
from web import schemas
from web.answers import json_answer, record
from web.operations import Operations

routes = Operations("/api")
jobs = JobRepository()


@routes.route("GET", "/queue", answers={200: schemas.Queue})
def get_queue() -> Response:
    """Whether the queue is paused."""
    return json_answer({"paused": is_paused()})


@routes.route("PUT", "/queue", answers={200: schemas.Queue})
def change_queue(body: schemas.QueueState) -> Response:
    """Pause the queue, or let it go on. Running jobs are finished; claims are answered as for an empty queue."""
    set_paused(body.paused)
    return get_queue()


@routes.route("POST", "/jobs/<id:job_id>/next", answers={200: schemas.Job}, problems=[404, 409])
def make_job_next(job_id: str, body: schemas.NextJob) -> Response:
    """Put a pending job at the head of the queue, or before another pending job. It gets the priority of that job.

    A job that is there already is not changed. 409 if one of the jobs is not pending.
    """
    return record(jobs.make_next(job_id, **body.fields_set()))
