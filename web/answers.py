"""Turns records into responses: JSON, ETags, pages of a list, and the link to the next page."""

import base64
import json
from collections.abc import Callable
from functools import cache, partial
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from peewee import Expression

from database import to_json
from errors import Malformed, NotFound
from models import Loop, Record, Track
from records import rows
from records.handover import Handover
from records.pages import Page
from records.repository import Repository, child_rows
from records.rows import Row
from web import schemas
from web.fragments import URLS, array, fragment, with_member
from web.kept import Kept
from web.lean import JsonResponse, not_modified

MISSING = "There is no such record (any more)."
CHILDREN: dict[str, tuple[Any, str]] = {"tracks": (Track, "job"), "loops": (Loop, "track")}


def json_answer(payload: Any, status: int = 200) -> Response:
    """A JSON response."""
    return json_bytes(to_json(payload).encode(), status)


def json_bytes(text: bytes, status: int = 200) -> Response:
    """A response with this JSON text."""
    return JsonResponse(text, status)


def record(record: Record | None) -> Response:
    """A response with one record and its ETag, or 304 if the client has this version. Raises NotFound for None."""
    return of_row(type(require(record)), rows.row(require(record)))


def one(repo: Repository[Any], record_id: str, expand: str | None = None) -> Response:
    """A response with a record and its ETag. With children, the ETag is a digest of them, too.

    304 if the client has this version: then only the version is read. Raises NotFound.
    """
    sent = None if expand or "HTTP_IF_MATCH" in request.environ else request.environ.get("HTTP_IF_NONE_MATCH")
    if sent and sent == f'"{require(repo.get_value(record_id, "updated_at"))}"':
        return not_modified(sent)
    row = require(repo.get_row(record_id))
    (text,) = fragments(repo.model, [row], expand)
    digest = f"-{blake2b(text, digest_size=8).hexdigest()}" if expand else ""
    return _conditional(json_bytes(text), f"{rows.version(repo.model, row)}{digest}")


def of_row(model: Any, row: Row | None) -> Response:
    """A response with the record of a row, which need not be committed yet, and its ETag. Raises NotFound for None."""
    return _conditional(json_bytes(fragment(model, require(row))), str(rows.version(model, require(row))))


def leased(record: Any, release: Callable[[str, str], object]) -> Response:
    """A response with a claimed record and its lease_token, or 204 for None.

    Calls release(id, token) if the response cannot be sent to the client.
    """
    if record is None:
        return Response(status=204)
    text = with_member(_text(record), "lease_token", to_json(record.lease_token).encode())
    body = Handover(text, partial(release, record.record_id, record.lease_token))
    answer = Response(body, content_type="application/json", direct_passthrough=True)
    answer.content_length = len(text)
    answer.set_etag(str(record.version))
    return answer


def created(model: Any, row: Row, is_new: bool) -> Response:
    """201 with the record of a row and its Location; 200 if the same request had created it before."""
    answer = json_bytes(fragment(model, row), 201 if is_new else 200)
    answer.headers["Location"] = URLS[model]["self"].format(id=row[rows.key(model)])
    answer.set_etag(str(rows.version(model, row)))
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
    read, cursor = part(repo, query, *where)
    url = _next_url(cursor) if cursor else None
    total = b',"total":%d' % repo.count(*where) if query.count else b""
    items = array(fragments(repo.model, read, expand))
    answer = json_bytes(b'{"items":%b,"next":%b%b}' % (items, to_json(url).encode(), total))
    if url:
        answer.headers["Link"] = f'<{url}>; rel="next"'
    return answer


def part(repo: Repository[Any], query: schemas.List, *where: Expression) -> tuple[list[Row], str | None]:
    """(the rows of one page of a list, the cursor of the next page or None). Raises Malformed for a wrong cursor."""
    sort = str(query.sort)  # type: ignore[attr-defined]
    after = _position(query.cursor, sort)
    one_more = Page(sort.lstrip("-"), sort.startswith("-"), query.limit + 1, query.offset, after)
    read = repo.page_rows(one_more, *where)
    following = _cursor(repo.model, read[query.limit - 1], sort) if len(read) > query.limit else None
    return read[: query.limit], following


def fragments(model: Any, read: list[Row], expand: str | None = None) -> list[bytes]:
    """The JSON of these committed rows. expand nests tracks, loops or tracks.loops: one statement for each level."""
    texts = _kept(model).fragments(read)
    if not expand:
        return texts
    name, _, deeper = expand.partition(".")
    (child, parent), place = CHILDREN[name], rows.key(model)
    families = child_rows(child, parent, [row[place] for row in read])
    nested = iter(fragments(child, [row for siblings in families.values() for row in siblings], deeper))
    arrays = {parent_id: array([next(nested) for _ in siblings]) for parent_id, siblings in families.items()}
    return [with_member(text, name, arrays.get(row[place], b"[]")) for text, row in zip(texts, read, strict=True)]


def _conditional(answer: Response, tag: str) -> Response:
    """The response with this ETag; 304 without a body if the client has it."""
    answer.headers["ETag"] = f'"{tag}"'
    if "HTTP_IF_NONE_MATCH" not in request.environ and "HTTP_IF_MATCH" not in request.environ:
        return answer
    return answer.make_conditional(request)  # type: ignore[return-value]


@cache
def _kept(model: Any) -> Kept:
    return Kept(model)


def _text(record: Record) -> bytes:
    return fragment(type(record), rows.row(record))


def _cursor(model: Any, last: Row, sort: str) -> str:
    position = json.dumps([sort, last[rows.place(model, sort.lstrip("-"))], last[rows.key(model)]])
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
