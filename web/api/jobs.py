"""REST: jobs and their logs."""

from typing import Any

from flask import Response
from peewee import Expression

from files import deletion
from models import Job
from records import filters, rows
from records.search import JobSearch
from repos import JobRepository
from web import downloads, orders, schemas
from web.answers import created, deleted, of_row, one, page, require_one
from web.current import services
from web.operations import IfMatch, LeaseToken, Operations
from web.waiting import when_finished

routes = Operations("/api")
jobs = JobRepository()
TEXT = ("text/plain",)


@routes.route(
    "POST",
    "/jobs",
    answers={201: schemas.NotedJob, 200: schemas.NotedJob},
    problems=[409],
    headers=["Prefer"],
    commits_later=True,
)
def create_job(body: schemas.NewJob) -> Response:
    """Record a job. The same job_id and body again return the job as it is now. `Prefer: wait=n` waits for its end."""
    return record_job(body.fields_set())


@routes.route("GET", "/jobs", answers={200: schemas.JobPage})
def list_jobs(query: schemas.JobList) -> Response:
    """Jobs, newest first."""
    return page(matching_jobs(query), query, *conditions(query), expand=query.expand)


@routes.route("GET", "/jobs/<id:job_id>", answers={200: schemas.Job, 304: None}, problems=[404], headers=["Prefer"])
def get_job(job_id: str, query: schemas.JobGet) -> Response:
    """One job. With `Prefer: wait=n`, answer when the job has finished or after n seconds, at most 60."""
    return when_finished(job_id, lambda _: one(jobs, job_id, query.expand))


@routes.route("PATCH", "/jobs/<id:job_id>", answers={200: schemas.Job}, problems=[404, 409, 412], commits_later=True)
def update_job(job_id: str, body: schemas.JobPatch, if_match: IfMatch, lease_token: LeaseToken) -> Response:
    """Change a job. Its status only goes forward. While it is leased, only the lease holder may change its work."""
    changes = body.fields_set()
    orders.check_change(services().settings, job_id, changes, if_match)
    return of_row(Job, jobs.update_row(job_id, changes, if_match, lease_token))


@routes.route("DELETE", "/jobs/<id:job_id>", answers={204: None}, problems=[404, 412])
def delete_job(job_id: str, query: schemas.Deletion, if_match: IfMatch) -> Response:
    """Delete a job, its tracks and their loops. files=true also deletes their files."""
    return deleted(deletion.delete_job(services().storage, job_id, if_match, query.files))


@routes.route("GET", "/jobs/<id:job_id>/log", answers={200: TEXT, 206: TEXT}, problems=[404, 416])
def get_job_log(job_id: str, query: schemas.LogQuery) -> Response:
    """The output of the job's generator so far: the whole text, a Range of bytes, the last lines, or for people.

    For people: fold=true replaces repeated progress lines with one line, and marks errors. q keeps the lines with all
    its words.
    """
    require_one(jobs, job_id)
    words = query.q.split()
    if query.fold or words:
        return downloads.log_lines(services().storage, job_id, words, query.fold, query.tail)
    return downloads.log(services().storage, job_id, query.tail)


def record_job(fields: dict[str, Any]) -> Response:
    """Record a job with these fields, and return it with the notes of its order. Raises Invalid, Conflict."""
    notes = orders.check_new(services().settings, fields)
    row, is_new = jobs.create_row(fields)
    job_id = str(row[rows.key(Job)])
    return when_finished(job_id, lambda waited: created(Job, (waited and jobs.get_row(job_id)) or row, is_new, notes))


def matching_jobs(query: schemas.JobList) -> JobRepository:
    """The repository for a list: of all jobs, or of the jobs with the words of q and these values of metadata."""
    return JobSearch(query.q or None, query.metadata) if query.q or query.metadata else jobs


def conditions(query: schemas.JobList) -> list[Expression]:
    """The conditions of a list of jobs, without q and metadata."""
    where = filters.created(Job, query.created_after, query.created_before)
    if query.status:
        where.append(jobs.in_status(*query.status))
    if query.job_type is not None:
        where.append(filters.equals(Job.job_type, query.job_type))
    return where
