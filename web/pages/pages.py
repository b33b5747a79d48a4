"""The pages of the dashboard: all can be read without JavaScript; the modules in static/ keep them up to date."""

from typing import Any
from urllib.parse import urlencode

from flask import render_template, request, url_for

from errors import NotFound
from maintenance.backup import backup_warning
from models import JOB_STATUSES, Job, Track
from records import discards, rows
from repos import JobRepository, LoopRepository, Page, TrackRepository
from web import schemas
from web.answers import part, require
from web.api.jobs import conditions, matching_jobs
from web.api.queue import Part, part_of_queue
from web.current import services
from web.pages import undo
from web.pages.filled import filled
from web.pages.log import log_of
from web.pages.new_job import new_job_page
from web.pages.routes import Routes
from web.reading import validate_query

routes = Routes()
jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
REPOS: dict[str, Any] = {"job": jobs, "track": tracks, "loop": loops}
# The tabs of the list, and the statuses that each shows.
SHOWN = {
    "waiting": (JOB_STATUSES.pending,),
    "running": JOB_STATUSES.steps[1:-1],
    "completed": (JOB_STATUSES.completed,),
    "failed": (JOB_STATUSES.failed,),
    "cancelled": (JOB_STATUSES.cancelled,),
}
ROWS = 50
TRACKS = 50  # of a job on its page


@routes.get("/")
def show_jobs() -> str:
    """The jobs, newest first, narrowed by status, type and words. All that wait are in the order of the queue."""
    show = request.args.get("show") or None
    query = _query(show)
    filters = {name: value for name, value in (("q", query.q), ("job_type", query.job_type)) if value}
    neighbours = {}  # the ids of the jobs before and behind each one that can be moved
    if show == "waiting" and not filters:
        queue = part_of_queue(query.cursor, ROWS)
        read, cursor, neighbours = [row for row, _ in queue.read], queue.cursor, _neighbours(queue)
    else:
        read, cursor = part(matching_jobs(query), query, *conditions(query))
    listed = [rows.record(Job, row) for row in read]
    return render_template(
        "jobs.html",
        jobs=listed,
        neighbours=neighbours,
        sounds=tracks.first_of_jobs([job.job_id for job in listed]),
        here=_address(filters, show),
        next=cursor and _address(filters, show, cursor),
        show=show,
        query=query,
        types=jobs.types(),
        tabs=_tabs(filters, show),
        warning=backup_warning(services().settings),
    )


@routes.get("/new")
def show_new_job() -> str:
    """The form for a new job. The query fills it in: like=JOB_ID, track=TRACK_ID, or fields such as job_type=synth."""
    arguments = request.args.to_dict()
    source = filled(arguments)
    return new_job_page({**source.entries, **arguments}, {}, source)


@routes.get("/jobs/<id:job_id>")
def show_job(job_id: str) -> str:
    """A job, its tracks, their loops and its log."""
    return job_page(job_id)


@routes.get("/jobs/<id:record_id>/delete", defaults={"kind": "job"})
@routes.get("/tracks/<id:record_id>/delete", defaults={"kind": "track"})
@routes.get("/loops/<id:record_id>/delete", defaults={"kind": "loop"})
def show_deletion(kind: str, record_id: str) -> str:
    """What deleting it means, and the form that does it."""
    record = require(REPOS[kind].get_by_id(record_id))
    return render_template("delete.html", kind=kind, record=record, back=home_of(record))


def job_page(job_id: str, failed: str | None = None, errors: dict[str, str] | None = None) -> str:
    """The page of a job; failed is the track whose form for a loop has these errors. Raises NotFound."""
    job = require(jobs.get_by_id(job_id))
    read = tracks.page(Page(limit=TRACKS + 1, descending=False), Track.job == job_id)
    listed = read[:TRACKS]
    sounds = [track for track in listed if track.file_path_wav or track.file_path_mp3]
    return render_template(
        "job.html",
        job=job,
        tracks=listed,
        more=len(read) > TRACKS,
        loops=loops.of_tracks([track.track_id for track in listed]),
        best=next((track for track in sounds if track.starred), sounds[0] if sounds else None),
        choice=undo.choice(job_id),
        discards=discards.of_job(job_id),
        log=log_of(job_id),
        failed=failed,
        errors=errors or {},
    )


def home_of(record: Any) -> str:
    """The page of the job a record belongs to."""
    job_id = record.job_id if isinstance(record, Job) else record.__data__.get("job")
    if job_id is None:
        job_id = require(tracks.get_by_id(record.__data__["track"])).__data__["job"]
    return url_for("pages.show_job", job_id=job_id)


def _query(show: str | None) -> schemas.JobList:
    """The query of the list; empty fields are left out. Raises NotFound, Malformed."""
    if show is not None and show not in SHOWN:
        raise NotFound("There is no such list of jobs.")
    fields = {name: request.args.get(name, "").replace("\0", "") for name in ("q", "job_type", "cursor")}
    filled = {name: value for name, value in fields.items() if value.strip()}
    statuses = {"status": list(SHOWN[show])} if show else {}
    query: schemas.JobList = validate_query(schemas.JobList, {**filled, **statuses, "limit": str(ROWS)})
    return query


def _neighbours(queue: Part) -> dict[str, tuple[str | None, str | None]]:
    """The ids of the jobs before and behind each job of a part of the queue."""
    ids = [job.job_id for _, job in queue.read]
    before, behind = (place and place.job_id for place in (queue.before, queue.behind))
    return dict(zip(ids, zip([before, *ids], [*ids[1:], behind], strict=False), strict=False))


def _tabs(filters: dict[str, str], show: str | None) -> list[dict[str, Any]]:
    """The tabs of the list: name, address, and the number of jobs when the list has no other filter."""
    counts = jobs.tally() if not filters else {}
    return [
        {
            "name": (name or "all").capitalize(),
            "tone": name,
            "url": _address(filters, name),
            "current": name == show,
            "count": f"{sum(counts[status] for status in statuses):,}" if counts else None,
        }
        for name, statuses in [(None, JOB_STATUSES.all), *SHOWN.items()]
    ]


def _address(filters: dict[str, str], show: str | None, cursor: str | None = None) -> str:
    """The URL of the list with these filters, from a cursor on."""
    parameters = {**filters, **({"show": show} if show else {}), **({"cursor": cursor} if cursor else {})}
    return f"{url_for('pages.show_jobs')}{'?' if parameters else ''}{urlencode(parameters)}"
