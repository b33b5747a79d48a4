"""Turns records into responses: JSON, ETags, pages of a list, and the link to the next page."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from peewee import Expression

from database import to_json
from errors import Malformed, NotFound
from models import Job, Loop, Record, Track, iso
from records.handover import Handover
from records.repository import Repository
from repos import LoopRepository, Page, TrackRepository
from web import schemas

MISSING = "There is no such record (any more)."
HIDDEN = {"lease_token", "lease_seconds", "fingerprint"}
URLS = {
    Job: {
        "self": "/api/jobs/{id}",
        "tracks": "/api/jobs/{id}/tracks",
        "loops": "/api/jobs/{id}/loops",
        "log": "/api/jobs/{id}/log",
        "cancel": "/api/jobs/{id}/cancel",
        "retry": "/api/jobs/{id}/retry",
    },
    Track: {
        "self": "/api/tracks/{id}",
        "job": "/api/jobs/{parent}",
        "loops": "/api/tracks/{id}/loops",
        "audio": "/api/tracks/{id}/audio",
        "waveform": "/api/tracks/{id}/waveform.svg",
    },
    Loop: {
        "self": "/api/loops/{id}",
        "track": "/api/tracks/{parent}",
        "audio": "/api/loops/{id}/audio",
        "cancel": "/api/loops/{id}/cancel",
        "retry": "/api/loops/{id}/retry",
    },
}
SOUNDS = {Job: (), Track: ("file_path_wav", "file_path_mp3"), Loop: ("result_path",)}
SILENT = {
    model: {name: url for name, url in urls.items() if name not in ("audio", "waveform")}
    for model, urls in URLS.items()
}
COLUMNS = {
    model: {name: field.column_name for name, field in model._meta.fields.items() if name not in HIDDEN}
    for model in URLS
}
PARENTS = {Track: "job", Loop: "track", Job: "job_id"}

Body = dict[str, Any]


def json_answer(payload: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(to_json(payload).encode(), status, content_type="application/json")


def record(row: Record | None, expand: str | None = None) -> Response:
    """A response with one record and its ETag, or 304 if the client has this version. Raises NotFound for None."""
    answer = json_answer(bodies([require(row)], expand)[0])
    answer.set_etag(_etag(require(row), answer if expand else None))
    return answer.make_conditional(request)  # type: ignore[return-value]


def leased(record: Any, release: Callable[[str, str], object]) -> Response:
    """A response with a claimed record and its lease_token, or 204 for None.

    Calls release(id, token) if the response cannot be sent to the client.
    """
    if record is None:
        return Response(status=204)
    text = to_json({**_body(record), "lease_token": record.lease_token}).encode()
    body = Handover(text, partial(release, record.record_id, record.lease_token))
    answer = Response(body, content_type="application/json", direct_passthrough=True)
    answer.content_length = len(text)
    answer.set_etag(_etag(record))
    return answer


def created(record: Record, is_new: bool) -> Response:
    """201 with the record and its Location; 200 if the same request had created it before."""
    payload = _body(record)
    answer = json_answer(payload, 201 if is_new else 200)
    answer.headers["Location"] = payload["urls"]["self"]
    answer.set_etag(_etag(record))
    return answer


def deleted(was_there: bool) -> Response:
    """204 for a record that was deleted. Raises NotFound if there was none."""
    if not was_there:
        raise NotFound(MISSING)
    return Response(status=204)


def require(record: Any) -> Any:
    """Return the record. Raises NotFound for None."""
    if record is None:
        raise NotFound(MISSING)
    return record


def page(repo: Repository[Any], query: schemas.List, *where: Expression, expand: str | None = None) -> Response:
    """A response with one page of a list and the URL of the next page.

    Raises Malformed for a cursor of another list.
    """
    records, cursor = part(repo, query, *where)
    payload: Body = {"items": bodies(records, expand), "next": cursor and _next_url(cursor)}
    if query.count:
        payload["total"] = repo.count(*where)
    answer = json_answer(payload)
    if payload["next"]:
        answer.headers["Link"] = f'<{payload["next"]}>; rel="next"'
    return answer


def part(repo: Repository[Any], query: schemas.List, *where: Expression) -> tuple[list[Any], str | None]:
    """(the records of one page of a list, the cursor of the next page or None). Raises Malformed for a wrong cursor."""
    sort = str(query.sort)  # type: ignore[attr-defined]
    after = _position(query.cursor, sort)
    one_more = Page(sort.lstrip("-"), sort.startswith("-"), query.limit + 1, query.offset, after)
    records = repo.page(one_more, *where)
    following = _cursor(records[query.limit - 1], sort) if len(records) > query.limit else None
    return records[: query.limit], following


def bodies(records: Sequence[Record], expand: str | None = None) -> list[Body]:
    """The records as JSON objects. expand nests tracks, loops or tracks.loops, with one statement for each level."""
    payloads = [_body(record) for record in records]
    if expand:
        level, _, deeper = expand.partition(".")
        _nest(records, payloads, level, deeper or None)
    return payloads


def _nest(records: Sequence[Record], payloads: list[Body], level: str, deeper: str | None) -> None:
    ids = [record.record_id for record in records]
    children: dict[str, list[Any]] = (
        TrackRepository().of_jobs(ids) if level == "tracks" else LoopRepository().of_tracks(ids)
    )
    flat = bodies([child for record_id in ids for child in children.get(record_id, [])], deeper)
    rest = iter(flat)
    for record_id, payload in zip(ids, payloads, strict=True):
        payload[level] = [next(rest) for _ in children.get(record_id, [])]


def _body(record: Record) -> Body:
    kind, data = type(record), record.__data__
    payload = {column: _value(data[name]) for name, column in COLUMNS[kind].items()}
    places = {"id": record.record_id, "parent": data[PARENTS[kind]]}
    urls = URLS[kind] if any(data[name] for name in SOUNDS[kind]) else SILENT[kind]
    payload["urls"] = {name: url.format(**places) for name, url in urls.items()}
    return payload


def _value(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value


def _etag(record: Record, whole: Response | None = None) -> str:
    """The version of the record; with nested children, also a digest of the whole body."""
    digest = "" if whole is None else f"-{blake2b(whole.get_data(), digest_size=8).hexdigest()}"
    return f"{record.version}{digest}"


def _cursor(last: Any, sort: str) -> str:
    field = last._meta.fields[sort.lstrip("-")]
    position = json.dumps([sort, field.db_value(getattr(last, field.name)), last.record_id])
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _position(cursor: str | None, sort: str) -> tuple[int, str] | None:
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        cursor_sort, value, key = json.loads(text)
        if cursor_sort == sort and type(value) is int and abs(value) < 2**63 and isinstance(key, str) and key.isascii():
            return value, key.replace("\0", "")
    except (ValueError, TypeError, RecursionError):
        pass
    message = "is not a cursor of this list: take it from `next`, with the same sort"
    raise Malformed(f"The query cannot be used: cursor {message}.", "cursor")


def _next_url(cursor: str) -> str:
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("cursor", "offset")]
    return f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}"
