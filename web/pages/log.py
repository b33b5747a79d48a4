"""The log of a job on its page: folded, searched, and as a fragment that log.js reads while the job runs."""

import os
from dataclasses import dataclass
from hashlib import sha256

from flask import Response, render_template, request

from models import Job
from repos import JobRepository
from web.answers import require
from web.current import services
from web.log_files import FoldedLog, fold_log, search_log
from web.log_lines import Line, in_parts
from web.pages.routes import Routes
from web.pages.wording import is_final

routes = Routes()
jobs = JobRepository()
LINES = 300  # on the page
LONGEST_WORDS = 200  # characters of a search
Parts = list[tuple[bool, list[Line]]]


@dataclass(frozen=True)
class PageLog:
    """What the page of a job shows of its log.

    words: the words that its lines have; "" for all lines. errors: the lines with errors before the newest lines.
    parts: the newest lines, as in_parts() has them. is_whole: if no other line was left out.
    """

    words: str
    errors: list[Line]
    parts: Parts
    is_whole: bool


@routes.get("/jobs/<id:job_id>/log")
def show_log(job_id: str) -> Response:
    """The lines of the log of a job, as a part of a page; 304 if the client has them."""
    job = require(jobs.get_by_id(job_id))
    answer = Response(content_type="text/html; charset=utf-8")
    answer.set_etag(_version(job))
    answer.make_conditional(request)
    if answer.status_code == 200:
        answer.set_data(render_template("log_lines.html", job=job, log=log_of(job_id)))
    return answer


def log_of(job_id: str) -> PageLog:
    """The log of a job, with the words that the query string has."""
    words = _words()
    file = services().storage.open(services().storage.log(job_id))
    if file is None:
        return PageLog(words, [], [], True)
    with file:
        log: FoldedLog = (search_log(file, words.split()) if words else fold_log(file)).newest(LINES)
    return PageLog(words, log.errors, in_parts(log.lines), log.is_whole)


def _words() -> str:
    """The words of the search; "" if there is none."""
    return request.args.get("log", "").replace("\0", "").strip()[:LONGEST_WORDS]


def _version(job: Job) -> str:
    """A text that changes when the lines of show_log() may change."""
    file = services().storage.open(services().storage.log(job.job_id))
    if file is None:
        return f"none-{is_final(job)}"
    with file:
        status = os.fstat(file.fileno())
    words = sha256(_words().encode()).hexdigest()[:8]
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{is_final(job)}-{words}"
