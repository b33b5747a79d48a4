"""REST: the queue of jobs: pause it, and let it go on."""

from flask import Response

from repos import is_paused, set_paused
from web import schemas
from web.answers import json_answer
from web.operations import Operations

routes = Operations("/api")


@routes.route("GET", "/queue", answers={200: schemas.Queue})
def get_queue() -> Response:
    """Whether the queue is paused."""
    return json_answer({"paused": is_paused()})


@routes.route("PUT", "/queue", answers={200: schemas.Queue})
def change_queue(body: schemas.QueueState) -> Response:
    """Pause the queue, or let it go on. Running jobs are finished; claims are answered as for an empty queue."""
    set_paused(body.paused)
    return get_queue()
