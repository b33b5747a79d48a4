"""REST: the queue of jobs: what runs, what comes next and when it is done; pause it, and change its order."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import Response

from database import to_json
from models import Job
from records import rows, waiting
from records.forecast import Forecast, forecast
from records.pace import shown
from records.rows import Row
from records.waiting import Place
from repos import COUNTED, JobRepository, is_paused, set_paused
from web import schemas
from web.answers import cursor_at, json_answer, position, record
from web.current import services
from web.fragments import array, with_member
from web.lean import json_response
from web.operations import Operations

routes = Operations("/api")
jobs = JobRepository()
SORT = "queue"


class Part(NamedTuple):
    """A part of the queue: its rows with their places, the places beside it, and the cursor of what follows."""

    read: list[tuple[Row, Place]]
    before: Place | None
    behind: Place | None
    cursor: str | None


@routes.route("GET", "/queue", answers={200: schemas.Queue})
def get_queue(query: schemas.QueueQuery) -> Response:
    """What runs, what comes next and when it is done, and whether the queue is paused."""
    expected, part = forecast(), part_of_queue(query.cursor, query.limit)
    running = [(rows.row(job), None) for job in expected.running]
    following = part.cursor and f"/api/queue?{urlencode({'limit': query.limit, 'cursor': part.cursor})}"
    head = to_json(
        {"paused": is_paused(), "waiting": expected.waiting, "done_in": shown(expected.all_done_in)}
    ).encode()
    lists = (_array(running, expected), _array(_numbered(part), expected), to_json(following).encode())
    return json_response(b'%b,"running":%b,"items":%b,"next":%b}' % (head[:-1], *lists))


@routes.route("PUT", "/queue", answers={200: schemas.QueueState})
def change_queue(body: schemas.QueueChange) -> Response:
    """Pause the queue, or let it go on. Running jobs are finished; claims are answered as for an empty queue."""
    set_paused(body.paused)
    return json_answer({"paused": is_paused()})


@routes.route("POST", "/jobs/<id:job_id>/next", answers={200: schemas.Job}, problems=[404, 409])
def make_job_next(job_id: str, body: schemas.NextJob) -> Response:
    """Put a pending job at the head of the queue, or before another pending job. It gets the priority of that job.

    A job that is there already is not changed. 409 if one of the jobs is not pending.
    """
    return record(jobs.make_next(job_id, **body.fields_set()))


def part_of_queue(cursor: str | None, limit: int) -> Part:
    """The jobs that wait behind the place of a cursor, or the first ones. Raises Malformed."""
    after = _place(cursor)
    read = waiting.page(after, limit + 1)
    if len(read) <= limit:
        return Part(read, after, None, None)
    last = read[-2][1]
    return Part(read[:-1], after, read[-1][1], cursor_at(SORT, f"{last.priority} {last.waits_at}", last.job_id))


def _numbered(part: Part) -> list[tuple[Row, int | None]]:
    """The rows of a part, each with its position."""
    before = waiting.count_before(part.read[0][1], COUNTED) if part.read and part.before else 0
    return [(row, before + number if before < COUNTED else None) for number, (row, _) in enumerate(part.read, 1)]


def _place(cursor: str | None) -> Place | None:
    """The place behind which a part begins. Raises Malformed."""
    after = position(cursor, SORT)
    if after is None:
        return None
    (priority, waits_at), job_id = after
    return Place(priority, waits_at, job_id)


def _array(numbered: list[tuple[Row, Any]], expected: Forecast) -> bytes:
    """The JSON of jobs with their positions and estimates."""
    texts = services().kept[Job].of_rows([row for row, _ in numbered])
    return array(
        with_member(
            with_member(text, "position", to_json(number).encode()),
            "done_in",
            to_json(shown(expected.done_in.get(job_id))).encode(),
        )
        for (job_id, text), (_, number) in zip(texts.items(), numbered, strict=True)
    )
