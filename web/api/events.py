"""Server-Sent Events: sends every committed change of the ledger to its clients."""

import re
from functools import partial

from flask import Response, request

from records.streams import EventStream
from repos import JobRepository
from web import schemas
from web.answers import require
from web.current import open_place, services
from web.guard import GRANT
from web.operations import Operations

routes = Operations("/api")
jobs = JobRepository()
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@routes.route("GET", "/events", answers={200: schemas.ServerSentEvent}, headers=["Last-Event-ID"])
def stream_events(query: schemas.EventQuery) -> Response:
    """Every committed change, from now on or after the event id in Last-Event-ID or `since`."""
    return _stream(query, None)


@routes.route(
    "GET",
    "/jobs/<id:job_id>/events",
    answers={200: schemas.ServerSentEvent},
    problems=[404],
    headers=["Last-Event-ID"],
)
def stream_job_events(job_id: str, query: schemas.EventQuery) -> Response:
    """The changes of one job, its tracks and their loops. A new stream begins with the last event of the job."""
    require(jobs.get_by_id(job_id))
    return _stream(query, job_id)


def point(since: int | None) -> int | None:
    """The last event id that the client has seen: from Last-Event-ID (browsers send it), else from `since`."""
    seen = request.headers.get("Last-Event-ID", "")
    if not seen:
        return since
    return int(seen) if re.fullmatch("[0-9]{1,18}", seen) else 10**18  # an unknown id leads to resync


def _stream(query: schemas.EventQuery, job_id: str | None) -> Response:
    if request.method == "HEAD":
        return Response(content_type="text/event-stream", headers=HEADERS)
    give_back = open_place(services().limits.streams)
    is_allowed = partial(services().access.still_allows, request.environ.get(GRANT))
    stream = EventStream(services().feed, point(query.since), job_id, give_back, query.forecast, is_allowed)
    return Response(stream, content_type="text/event-stream", headers=HEADERS, direct_passthrough=True)
