"""REST: generators."""

from flask import Response

from records.offers import offers
from web import schemas
from web.answers import json_answer
from web.current import live_workers, services
from web.operations import Operations

routes = Operations("/api")


@routes.route("GET", "/generators", answers={200: schemas.Generators})
def get_generators() -> Response:
    """What can be made: each generator with its lengths, lyrics and parameters, and the workers that have it."""
    return json_answer({"items": offers(services().settings, live_workers())})
