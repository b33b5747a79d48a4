"""REST: many jobs in one request."""

from flask import Response

from web import schemas
from web.answers import json_answer
from web.batches import created, defaults_of, queue_batch, read_batch
from web.current import services
from web.operations import Operations
from web.reading import Lines

routes = Operations("/api")


@routes.route("POST", "/jobs/batch", answers={201: schemas.CreatedJobs, 200: schemas.CreatedJobs})
def create_jobs(query: schemas.BatchQuery, lines: Lines) -> Response:
    """Record up to 10,000 jobs in one transaction, all or none. The query has fields for jobs without them.

    CSV, JSON Lines or text with a prompt in each line, as in files for `flask jobs add --from`; or a JSON object.
    """
    batch = read_batch(services().settings, *lines, defaults_of(query))
    answer = created(batch, queue_batch(batch))
    return json_answer(answer, 201 if answer["created"] else 200)
