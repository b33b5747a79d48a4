"""REST: statistics."""

from flask import Response

from repos import stats
from web import schemas
from web.answers import json_answer
from web.operations import Operations

routes = Operations("/api")


@routes.route("GET", "/stats", answers={200: schemas.Stats})
def get_stats() -> Response:
    """Counts by status, pending jobs by type, the length of the queue, and the mean duration of a job."""
    return json_answer(stats())
