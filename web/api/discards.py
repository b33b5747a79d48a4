"""REST: deletes the tracks of a job that have no star, and brings deleted tracks back."""

from flask import Response

from files import discards as files
from models import Discard
from records import discards
from repos import JobRepository
from web import schemas
from web.actions import shown
from web.answers import UNDO_IS_OVER, json_answer, require, require_one
from web.current import services
from web.operations import Operations

routes = Operations("/api")
jobs = JobRepository()


@routes.route("POST", "/jobs/<id:job_id>/discard", answers={201: schemas.Discard}, problems=[404, 409])
def discard_tracks_of_job(job_id: str) -> Response:
    """Delete all tracks of a job that have no star, and their loops. It can be undone for ten seconds.

    409 if no track has a star, or if all have one.
    """
    discard: Discard = require(files.discard_job(services().storage, job_id))
    fields = shown(discard)
    answer = json_answer(fields, 201)
    answer.headers["Location"] = fields["urls"]["self"]
    return answer


@routes.route("GET", "/jobs/<id:job_id>/discards", answers={200: schemas.DiscardList}, problems=[404])
def list_discards_of_job(job_id: str) -> Response:
    """The discards of a job that can still be undone, newest first."""
    require_one(jobs, job_id)
    return json_answer({"items": [shown(discard) for discard in discards.of_job(job_id)]})


@routes.route("GET", "/discards/<id:discard_id>", answers={200: schemas.Discard}, problems=[404])
def get_discard(discard_id: str) -> Response:
    """A discard that can be undone, or that was undone."""
    return json_answer(shown(require(discards.get(discard_id))))


@routes.route("POST", "/discards/<id:discard_id>/undo", answers={200: schemas.Discard}, problems=[404, 409])
def undo_discard(discard_id: str) -> Response:
    """Bring deleted tracks and their loops back. 409 if a job was deleted meanwhile, or if an id is taken."""
    return json_answer(shown(require(discards.undo(discard_id), UNDO_IS_OVER)))
