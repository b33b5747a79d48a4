"""REST: all tracks, and the tracks of a job."""

from flask import Response
from peewee import Expression

from files import deletion
from models import Track
from records import filters
from records.again import again_track
from repos import JobRepository, TrackQuery, TrackRepository, TrackSearch
from web import schemas
from web.again import with_reference
from web.answers import created, deleted, of_row, one, page, require, require_one
from web.api.jobs import record_job
from web.current import services
from web.operations import IfMatch, Operations

routes = Operations("/api")
jobs, tracks = JobRepository(), TrackRepository()


@routes.route("GET", "/jobs/<id:job_id>/tracks", answers={200: schemas.TrackPage}, problems=[404])
def list_tracks_of_job(job_id: str, query: schemas.TracksOfJob) -> Response:
    """The tracks of a job."""
    require_one(jobs, job_id)
    return page(tracks, query, filters.equals(Track.job, job_id), *conditions(query), expand=query.expand)


@routes.route(
    "POST",
    "/jobs/<id:job_id>/tracks",
    answers={201: schemas.Track, 200: schemas.Track},
    problems=[404, 409],
    commits_later=True,
)
def create_track_of_job(job_id: str, body: schemas.TrackOfJob) -> Response:
    """Record a track of a job."""
    require_one(jobs, job_id)
    return created(Track, *tracks.create_row({"job_id": job_id, **body.fields_set()}))


@routes.route("POST", "/tracks", answers={201: schemas.Track, 200: schemas.Track}, problems=[409], commits_later=True)
def create_track(body: schemas.NewTrack) -> Response:
    """Record a track. The same track_id and body again return the track as it is now."""
    return created(Track, *tracks.create_row(body.fields_set()))


@routes.route("GET", "/tracks", answers={200: schemas.TrackPage})
def list_tracks(query: schemas.TrackList) -> Response:
    """Tracks, newest first."""
    return page(matching_tracks(query), query, *conditions(query), expand=query.expand)


@routes.route("GET", "/tracks/<id:track_id>", answers={200: schemas.Track, 304: None}, problems=[404])
def get_track(track_id: str, query: schemas.TrackGet) -> Response:
    """One track."""
    return one(tracks, track_id, query.expand)


@routes.route("PATCH", "/tracks/<id:track_id>", answers={200: schemas.Track}, problems=[404, 412], commits_later=True)
def update_track(track_id: str, body: schemas.TrackPatch, if_match: IfMatch) -> Response:
    """Change a track."""
    return of_row(Track, tracks.update_row(track_id, body.fields_set(), if_match))


@routes.route("DELETE", "/tracks/<id:track_id>", answers={204: None}, problems=[404, 412])
def delete_track(track_id: str, query: schemas.Deletion, if_match: IfMatch) -> Response:
    """Delete a track and its loops. files=true also deletes their files."""
    return deleted(deletion.delete_track(services().storage, track_id, if_match, query.files))


@routes.route(
    "POST",
    "/tracks/<id:track_id>/again",
    answers={201: schemas.NotedJob, 200: schemas.NotedJob},
    problems=[404, 409],
    headers=["Prefer"],
)
def make_track_again(track_id: str, body: schemas.TrackAgain) -> Response:
    """Record a job that makes a track again, with the seed and the parameters of the track or with others."""
    track = require(tracks.get_by_id(track_id))
    job = require(jobs.get_by_id(track.__data__["job"]))
    return record_job(with_reference(job.job_id, again_track(job, track, body.fields_set())))


def matching_tracks(query: schemas.TrackList) -> TrackSearch:
    """The repository for a list: the tracks that the query describes."""
    return TrackSearch(
        TrackQuery(query.q or None, query.genre or None, query.job_type, query.seed, query.starred, query.job_id)
    )


def conditions(query: schemas.TracksOfJob) -> list[Expression]:
    """The conditions of a list of tracks that are the same for the tracks of a job and for all tracks."""
    return filters.created(Track, query.created_after, query.created_before) + filters.metadata_is(
        Track, query.metadata
    )
