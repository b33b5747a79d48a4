"""REST: one action on several jobs or tracks."""

from flask import Response

from web import schemas
from web.actions import act_on_jobs, act_on_tracks
from web.answers import json_answer
from web.operations import Operations

routes = Operations("/api")


@routes.route("POST", "/jobs/actions", answers={200: schemas.Done})
def change_jobs(body: schemas.JobActions) -> Response:
    """Cancel, retry or delete up to 200 jobs. The answer says what was done, and what was refused and why."""
    return json_answer(act_on_jobs(body.action, body.ids, bool(body.files)))


@routes.route("POST", "/tracks/actions", answers={200: schemas.Done})
def change_tracks(body: schemas.TrackActions) -> Response:
    """Star, unstar or delete up to 200 tracks. The deletion can be undone for ten seconds."""
    return json_answer(act_on_tracks(body.action, body.ids))
