"""The REST interface under /api: jobs, tracks, loops and statistics."""

from flask import Blueprint, Response, current_app
from peewee import Expression

import belongings
import filters
from job_search import JobSearch
from models import Job, Loop, Track
from repos import JobRepository, JobStore, LoopRepository, TrackRepository, stats
from storage import Storage
from web import schemas
from web.answers import created, deleted, json_answer, known, page, record
from web.files import log
from web.operations import Operations
from web.waiting import awaited

blueprint = Blueprint("api", __name__, url_prefix="/api")
api = Operations(blueprint)
jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
IfMatch = list[int] | None
LeaseToken = str | None
TEXT = ("text/plain",)


@api.route("POST", "/jobs", answers={201: schemas.Job, 200: schemas.Job}, problems=[409], headers=["Prefer"])
def create_job(body: schemas.NewJob) -> Response:
    """Record a job; the same job_id and body again answer the job as it is now. `Prefer: wait=n` as for one job."""
    job, new = jobs.create_once(**body.given())
    return created(awaited(job) or job, new)


@api.route("GET", "/jobs", answers={200: schemas.JobPage})
def list_jobs(query: schemas.JobList) -> Response:
    """Jobs, newest first."""
    return page(jobs_found(query), query, *jobs_where(query), expand=query.expand)


@api.route("GET", "/jobs/<id:job_id>", answers={200: schemas.Job, 304: None}, problems=[404], headers=["Prefer"])
def get_job(job_id: str, query: schemas.JobGet) -> Response:
    """One job; with `Prefer: wait=n` as soon as it is final, or after n seconds, 60 at most."""
    store: JobStore = current_app.extensions["job_store"]
    return record(awaited(store.get(job_id)), query.expand)


@api.route("PATCH", "/jobs/<id:job_id>", answers={200: schemas.Job}, problems=[404, 409, 412])
def update_job(job_id: str, body: schemas.JobPatch, if_match: IfMatch, lease_token: LeaseToken) -> Response:
    """Change a job; its status only goes forward, and while it is leased only its holder changes its work."""
    return record(jobs.update(job_id, if_match, lease_token, **body.given()))


@api.route("DELETE", "/jobs/<id:job_id>", answers={204: None}, problems=[404, 412])
def delete_job(job_id: str, query: schemas.Deletion, if_match: IfMatch) -> Response:
    """Delete a job, its tracks and their loops; with files=true their files, too."""
    return deleted(belongings.delete_job(_storage(), job_id, if_match, query.files))


@api.route("GET", "/jobs/<id:job_id>/log", answers={200: TEXT, 206: TEXT}, problems=[404, 416])
def get_job_log(job_id: str, query: schemas.LogQuery) -> Response:
    """What the job's generator has printed so far; whole, a Range of bytes, or the last lines."""
    known(jobs.get_by_id(job_id))
    return log(_storage(), job_id, query.tail)


@api.route("GET", "/jobs/<id:job_id>/tracks", answers={200: schemas.TrackPage}, problems=[404])
def list_tracks_of_job(job_id: str, query: schemas.TracksOfJob) -> Response:
    """The tracks of a job."""
    known(jobs.get_by_id(job_id))
    return page(tracks, query, Track.job == job_id, *_tracks_where(query), expand=query.expand)


@api.route("POST", "/jobs/<id:job_id>/tracks", answers={201: schemas.Track, 200: schemas.Track}, problems=[404, 409])
def create_track_of_job(job_id: str, body: schemas.TrackOfJob) -> Response:
    """Record a track of a job."""
    known(jobs.get_by_id(job_id))
    return created(*tracks.create_once(job_id=job_id, **body.given()))


@api.route("GET", "/jobs/<id:job_id>/loops", answers={200: schemas.LoopPage}, problems=[404])
def list_loops_of_job(job_id: str, query: schemas.LoopsOf) -> Response:
    """The loops of a job, by way of its tracks."""
    known(jobs.get_by_id(job_id))
    return page(loops, query, filters.loops_of_job(job_id), *_loops_where(query))


@api.route("POST", "/tracks", answers={201: schemas.Track, 200: schemas.Track}, problems=[409])
def create_track(body: schemas.NewTrack) -> Response:
    """Record a track; the same track_id and body again answer the track as it is now."""
    return created(*tracks.create_once(**body.given()))


@api.route("GET", "/tracks", answers={200: schemas.TrackPage})
def list_tracks(query: schemas.TrackList) -> Response:
    """Tracks, newest first."""
    of_job = [Track.job == query.job_id] if query.job_id is not None else []
    return page(tracks, query, *of_job, *_tracks_where(query), expand=query.expand)


@api.route("GET", "/tracks/<id:track_id>", answers={200: schemas.Track, 304: None}, problems=[404])
def get_track(track_id: str, query: schemas.TrackGet) -> Response:
    """One track."""
    return record(tracks.get_by_id(track_id), query.expand)


@api.route("PATCH", "/tracks/<id:track_id>", answers={200: schemas.Track}, problems=[404, 412])
def update_track(track_id: str, body: schemas.TrackPatch, if_match: IfMatch) -> Response:
    """Change a track."""
    return record(tracks.update(track_id, if_match, **body.given()))


@api.route("DELETE", "/tracks/<id:track_id>", answers={204: None}, problems=[404, 412])
def delete_track(track_id: str, query: schemas.Deletion, if_match: IfMatch) -> Response:
    """Delete a track and its loops; with files=true their files, too."""
    return deleted(belongings.delete_track(_storage(), track_id, if_match, query.files))


@api.route("GET", "/tracks/<id:track_id>/loops", answers={200: schemas.LoopPage}, problems=[404])
def list_loops_of_track(track_id: str, query: schemas.LoopsOf) -> Response:
    """The loops of a track."""
    known(tracks.get_by_id(track_id))
    return page(loops, query, Loop.track == track_id, *_loops_where(query))


@api.route("POST", "/tracks/<id:track_id>/loops", answers={201: schemas.Loop, 200: schemas.Loop}, problems=[404, 409])
def create_loop_of_track(track_id: str, body: schemas.LoopOfTrack) -> Response:
    """Ask for a loop of a track."""
    known(tracks.get_by_id(track_id))
    return created(*loops.create_once(track_id=track_id, **body.given()))


@api.route("POST", "/loops", answers={201: schemas.Loop, 200: schemas.Loop}, problems=[409])
def create_loop(body: schemas.NewLoop) -> Response:
    """Ask for a loop; the same loop_id and body again answer the loop as it is now."""
    return created(*loops.create_once(**body.given()))


@api.route("GET", "/loops", answers={200: schemas.LoopPage})
def list_loops(query: schemas.LoopList) -> Response:
    """Loops, newest first."""
    of_track = [Loop.track == query.track_id] if query.track_id is not None else []
    return page(loops, query, *of_track, *_loops_where(query))


@api.route("GET", "/loops/<id:loop_id>", answers={200: schemas.Loop, 304: None}, problems=[404])
def get_loop(loop_id: str) -> Response:
    """One loop."""
    return record(loops.get_by_id(loop_id))


@api.route("PATCH", "/loops/<id:loop_id>", answers={200: schemas.Loop}, problems=[404, 409, 412])
def update_loop(loop_id: str, body: schemas.LoopPatch, if_match: IfMatch, lease_token: LeaseToken) -> Response:
    """Change a loop; its status only goes forward, and while it is leased only its holder changes its work."""
    return record(loops.update(loop_id, if_match, lease_token, **body.given()))


@api.route("DELETE", "/loops/<id:loop_id>", answers={204: None}, problems=[404, 412])
def delete_loop(loop_id: str, query: schemas.Deletion, if_match: IfMatch) -> Response:
    """Delete a loop; with files=true its file, too."""
    return deleted(belongings.delete_loop(_storage(), loop_id, if_match, query.files))


@api.route("GET", "/stats", answers={200: schemas.Stats})
def get_stats() -> Response:
    """Counts by status, how many wait, and how long a job takes."""
    return json_answer(stats())


def jobs_found(query: schemas.JobList) -> JobRepository:
    """The jobs a list is about: those with its words, if it has any."""
    return JobSearch(query.q) if query.q else jobs


def jobs_where(query: schemas.JobList) -> list[Expression]:
    """The conditions of a list of jobs, but for its words."""
    where = [*filters.created(Job, query.created_after, query.created_before), *_metadata_is(Job, query.metadata)]
    if query.status:
        where.append(jobs.in_status(*query.status))
    if query.job_type is not None:
        where.append(Job.job_type == query.job_type)
    return where


def _tracks_where(query: schemas.TracksOfJob) -> list[Expression]:
    return [*filters.created(Track, query.created_after, query.created_before), *_metadata_is(Track, query.metadata)]


def _loops_where(query: schemas.LoopsOf) -> list[Expression]:
    where = filters.created(Loop, query.created_after, query.created_before)
    if query.status:
        where.append(loops.in_status(*query.status))
    if query.format is not None:
        where.append(Loop.format == query.format)
    return where


def _metadata_is(model: type[Job] | type[Track], wanted: dict[str, str]) -> list[Expression]:
    return [filters.metadata(model, path, value) for path, value in wanted.items()]


def _storage() -> Storage:
    return Storage(current_app.config["SETTINGS"])
