"""REST: all loops, the loops of a track, and the loops of a job."""

from typing import Any

from flask import Response
from peewee import Expression

from files import deletion
from models import Loop
from records import filters
from repos import JobRepository, LoopRepository, TrackRepository
from web import schemas
from web.answers import created, deleted, of_row, one, page, require_one
from web.current import services
from web.operations import IfMatch, LeaseToken, Operations

routes = Operations("/api")
jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
CREATED: dict[int, Any] = {201: schemas.Loop, 200: schemas.Loop}


@routes.route("GET", "/jobs/<id:job_id>/loops", answers={200: schemas.LoopPage}, problems=[404])
def list_loops_of_job(job_id: str, query: schemas.LoopsOf) -> Response:
    """The loops of all tracks of a job."""
    require_one(jobs, job_id)
    return page(loops, query, filters.loops_of_job(job_id), *conditions(query))


@routes.route("GET", "/tracks/<id:track_id>/loops", answers={200: schemas.LoopPage}, problems=[404])
def list_loops_of_track(track_id: str, query: schemas.LoopsOf) -> Response:
    """The loops of a track."""
    require_one(tracks, track_id)
    return page(loops, query, filters.equals(Loop.track, track_id), *conditions(query))


@routes.route("POST", "/tracks/<id:track_id>/loops", answers=CREATED, problems=[404, 409], commits_later=True)
def create_loop_of_track(track_id: str, body: schemas.LoopOfTrack) -> Response:
    """Order a loop of a track."""
    require_one(tracks, track_id)
    return created(Loop, *loops.create_row({"track_id": track_id, **body.fields_set()}))


@routes.route("POST", "/loops", answers=CREATED, problems=[409], commits_later=True)
def create_loop(body: schemas.NewLoop) -> Response:
    """Order a loop. The same loop_id and body again return the loop as it is now."""
    return created(Loop, *loops.create_row(body.fields_set()))


@routes.route("GET", "/loops", answers={200: schemas.LoopPage})
def list_loops(query: schemas.LoopList) -> Response:
    """Loops, newest first."""
    return page(loops, query, *conditions(query))


@routes.route("GET", "/loops/<id:loop_id>", answers={200: schemas.Loop, 304: None}, problems=[404])
def get_loop(loop_id: str) -> Response:
    """One loop."""
    return one(loops, loop_id)


@routes.route("PATCH", "/loops/<id:loop_id>", answers={200: schemas.Loop}, problems=[404, 409, 412], commits_later=True)
def update_loop(loop_id: str, body: schemas.LoopPatch, if_match: IfMatch, lease_token: LeaseToken) -> Response:
    """Change a loop. Its status only goes forward. While it is leased, only the lease holder may change its work."""
    return of_row(Loop, loops.update_row(loop_id, body.fields_set(), if_match, lease_token))


@routes.route("DELETE", "/loops/<id:loop_id>", answers={204: None}, problems=[404, 412])
def delete_loop(loop_id: str, query: schemas.Deletion, if_match: IfMatch) -> Response:
    """Delete a loop. files=true also deletes its file."""
    return deleted(deletion.delete_loop(services().storage, loop_id, if_match, query.files))


def conditions(query: schemas.LoopsOf) -> list[Expression]:
    """The conditions of a list of loops."""
    where = filters.created(Loop, query.created_after, query.created_before)
    if isinstance(query, schemas.LoopList) and query.track_id is not None:
        where.insert(0, filters.equals(Loop.track, query.track_id))
    if query.status:
        where.append(loops.in_status(*query.status))
    if query.format is not None:
        where.append(filters.equals(Loop.format, query.format))
    return where
