"""The REST interface: this module lists and registers its parts."""

from flask import Blueprint, Flask

from web.api import (
    actions,
    archive,
    audio,
    batches,
    covers,
    discards,
    events,
    generators,
    health,
    jobs,
    leases,
    loops,
    metrics,
    queue,
    references,
    seams,
    stats,
    tracks,
)
from web.operations import Operation

PARTS = (
    jobs,
    batches,
    references,
    queue,
    leases,
    tracks,
    audio,
    covers,
    archive,
    discards,
    actions,
    loops,
    seams,
    events,
    generators,
    stats,
    health,
    metrics,
)


def operations() -> list[Operation]:
    """All operations, in the order of the OpenAPI document."""
    return [operation for part in PARTS for operation in part.routes.all]


def register(app: Flask) -> None:
    """Add the route of every operation to an app."""
    blueprint = Blueprint("api", __name__)
    for operation in operations():
        blueprint.add_url_rule(operation.path, operation.view.__name__, operation, methods=[operation.method])
    app.register_blueprint(blueprint)
