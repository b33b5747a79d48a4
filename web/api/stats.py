"""REST: statistics."""

from flask import Response

from maintenance.backup import newest_backup_age
from repos import stats
from web import schemas
from web.answers import json_answer
from web.current import services
from web.operations import Operations

routes = Operations("/api")


@routes.route("GET", "/stats", answers={200: schemas.Stats})
def get_stats() -> Response:
    """Counts by status, pending jobs by type, the mean duration of a job, and the age of the newest backup."""
    return json_answer({**stats(), "backup_age": newest_backup_age(services().settings)})
