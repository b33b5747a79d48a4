"""REST: generators."""

from typing import Any

from flask import Response
from pydantic import ValidationError

from records.offers import offers
from web import schemas
from web.answers import json_answer
from web.current import live_workers, services
from web.operations import Operations

routes = Operations("/api")


@routes.route("GET", "/generators", answers={200: schemas.Generators})
def get_generators() -> Response:
    """What can be made: each generator with its lengths, lyrics and parameters, and the workers that have it."""
    items = offers(services().settings, live_workers())
    return json_answer({"items": [item for item in items if _is_complete(item)]})


def _is_complete(item: dict[str, Any]) -> bool:
    """False for a description of a worker of another version that lacks what a client expects."""
    try:
        schemas.Generator.model_validate(item, strict=True)
    except ValidationError:
        return False
    return True
