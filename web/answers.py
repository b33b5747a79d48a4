"""Turns records into responses: JSON, ETags, pages of a list, and the link to the next page."""

import base64
import json
import re
from collections.abc import Callable
from functools import partial
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
from records.pages import Key, Page
from records.repository import Repository, child_rows
from records.rows import Row
from web import schemas
from web.current import services
from web.fragments import URLS, array, fragment, with_member
from web.kept import Kept
from web.lean import json_response, not_modified

MISSING = "There is no such record (any more)."
UNDO_IS_OVER = "The ten seconds are over: these tracks and their files are deleted."
QUEUE_PLACE = re.compile(r"(-?\d{1,7}) (\d{18,2000})", re.ASCII)  # priority and place: database/queue.py
CHILDREN: dict[str, tuple[Any, str]] = {"tracks": (Track, "job"), "loops": (Loop, "track")}


def json_answer(payload: Any, status: int = 200) -> Response:
    """A JSON response."""
    return json_response(to_json(payload).encode(), status)


def record(record: Record | None) -> Response:
    """A response with one record and its ETag, or 304 if the client has this version. Raises NotFound for None."""
    return of_row(type(require(record)), rows.row(require(record)))


def one(repo: Repository[Any], record_id: str, expand: str | None = None) -> Response:
    """A response with a record and its ETag. With children, the ETag also has a digest of all of it.

    304 if the client has this version; then this reads only the version. Raises NotFound.
    """
    sent = None if expand or "HTTP_IF_MATCH" in request.environ else request.environ.get("HTTP_IF_NONE_MATCH")
    if sent and sent == f'"{require(repo.get_value(record_id, "updated_at"))}"':
        return not_modified(sent)
    row = require(repo.get_row(record_id))
    (text,) = _nested(repo.model, _kept(repo.model).of_rows([row]), expand).values()
    digest = f"-{blake2b(text, digest_size=8).hexdigest()}" if expand else ""
    return _conditional(json_response(text), f"{rows.version(repo.model, row)}{digest}")


def of_row(model: Any, row: Row | None) -> Response:
    """A response with the record of a row and its ETag. The row may be uncommitted. Raises NotFound for None."""
    return _conditional(json_response(fragment(model, require(row))), str(rows.version(model, require(row))))


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


def created(model: Any, row: Row, is_new: bool, notes: list[str] | None = None) -> Response:
    """201 with the record of a row and its Location; 200 if the same request has created it before.

    notes: for a job, sentences that the response has in addition to the record.
    """
    text = fragment(model, row)
    if notes is not None:
        text = with_member(text, "notes", to_json(notes).encode() if notes else b"[]")
    answer = json_response(text, 201 if is_new else 200)
    answer.headers["Location"] = URLS[model]["self"].format(id=row[rows.key(model)])
    answer.set_etag(str(rows.version(model, row)))
    return answer


def deleted(was_there: bool) -> Response:
    """204 for a record that was deleted. Raises NotFound if there was none."""
    if not was_there:
        raise NotFound(MISSING)
    return Response(status=204)


def require(record: Any, reason: str = MISSING) -> Any:
    """Return the record. Raises NotFound with this reason for None."""
    if record is None:
        raise NotFound(reason)
    return record


def require_one(repo: Repository[Any], record_id: str) -> None:
    """Raise NotFound if there is no record with this id."""
    require(repo.get_value(record_id, "updated_at"))


def page(repo: Repository[Any], query: schemas.List, *where: Expression, expand: str | None = None) -> Response:
    """A response with one page of a list and the URL of the next page.

    Raises Malformed for a cursor of another list.
    """
    one_more = _one_more(query)
    keys, texts = _keys_and_texts(repo, one_more, *where)
    url = _next_url(keys, one_more)
    total = b',"total":%d' % repo.count(*where) if query.count else b""
    items = array(_nested(repo.model, texts, expand).values())
    answer = json_response(b'{"items":%b,"next":%b%b}' % (items, to_json(url).encode(), total))
    if url:
        answer.headers["Link"] = f'<{url}>; rel="next"'
    return answer


def part(repo: Repository[Any], query: schemas.List, *where: Expression) -> tuple[list[Row], str | None]:
    """(the rows of one page of a list, the cursor of the next page or None). Raises Malformed for a wrong cursor."""
    one_more = _one_more(query)
    keys, read = repo.page_keys_and_rows(one_more, *where)
    return read[: query.limit], _cursor(keys, one_more)


def _one_more(query: schemas.List) -> Page:
    """The page of a query with one more record. If that record exists, there is a next page."""
    sort = str(query.sort)  # type: ignore[attr-defined]
    after = position(query.cursor, sort)
    return Page(sort.lstrip("-"), sort.startswith("-"), query.limit + 1, query.offset, after)


def _keys_and_texts(repo: Repository[Any], one_more: Page, *where: Expression) -> tuple[list[Key], dict[str, bytes]]:
    """(the keys of a page and one more, the JSON of the records of the page by id).

    Reads the rows that are not kept in a second statement. If they have changed meanwhile, one statement reads all.
    """
    keys, read = repo.page_keys(one_more, *where)
    kept, limit = _kept(repo.model), one_more.limit - 1
    texts = None if read else kept.of_keys(keys[:limit], repo.get_rows)
    if texts is None:
        if not read:
            keys, read = repo.page_keys_and_rows(one_more, *where)
        texts = kept.of_rows(read[:limit])
    return keys, texts


def _nested(model: Any, texts: dict[str, bytes], expand: str | None) -> dict[str, bytes]:
    """The JSON of these records with their tracks, loops or tracks.loops. It needs one statement for each level."""
    if not expand:
        return texts
    name, _, deeper = expand.partition(".")
    child, parent = CHILDREN[name]
    families = child_rows(child, parent, list(texts))
    children = _kept(child).of_rows(row for siblings in families.values() for row in siblings)
    nested, key = _nested(child, children, deeper), rows.key(child)
    arrays = {parent_id: array(nested[row[key]] for row in siblings) for parent_id, siblings in families.items()}
    return {record_id: with_member(text, name, arrays.get(record_id, b"[]")) for record_id, text in texts.items()}


def _conditional(answer: Response, tag: str) -> Response:
    """The response with this ETag; 304 without a body if the client has it."""
    answer.headers["ETag"] = f'"{tag}"'
    if "HTTP_IF_NONE_MATCH" not in request.environ and "HTTP_IF_MATCH" not in request.environ:
        return answer
    return answer.make_conditional(request)  # type: ignore[return-value]


def _kept(model: Any) -> Kept:
    return services().kept[model]


def _text(record: Record) -> bytes:
    return fragment(type(record), rows.row(record))


def _cursor(keys: list[Key], one_more: Page) -> str | None:
    """The cursor of the next page; None if these keys are the last."""
    if len(keys) < one_more.limit:
        return None
    record_id, _, place = keys[-2]
    sort = f"-{one_more.sort}" if one_more.descending else one_more.sort
    return cursor_at(sort, place, record_id)


def cursor_at(sort: str, place: Any, record_id: str) -> str:
    """The cursor of the page that follows a record of a list. place: the value by which the list is sorted."""
    text = json.dumps([sort, base64.b64encode(place).decode() if isinstance(place, bytes) else place, record_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(cursor: str | None, sort: str) -> tuple[Any, str] | None:
    """(place, id): the record after which the page of a cursor begins; None without one. Raises Malformed."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        cursor_sort, place, key = json.loads(text)
        if cursor_sort == sort and isinstance(key, str) and key.isascii():
            return _place(sort.lstrip("-"), place), key.replace("\0", "")
    except (ValueError, TypeError, RecursionError):
        pass
    message = "is not a cursor of this list: take it from `next`, with the same sort"
    fields = [{"field": "cursor", "message": message}]
    raise Malformed(f"The query cannot be used: cursor {message}.", errors=fields)


def _place(sort: str, value: Any) -> Any:
    """The place in a list that a cursor names by this value. Raises ValueError or TypeError if there is none."""
    if sort == "queue":
        match = QUEUE_PLACE.fullmatch(value)
        if match is None:
            raise ValueError
        return int(match[1]), match[2]
    if sort == "title":
        return base64.b64decode(value, validate=True)
    if sort == "duration":
        is_place = type(value) in (int, float) and 0 <= value < 2**63
    else:
        is_place = type(value) is int and abs(value) < 2**63
    if not is_place:
        raise ValueError
    return value


def _next_url(keys: list[Key], one_more: Page) -> str | None:
    cursor = _cursor(keys, one_more)
    if cursor is None:
        return None
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("cursor", "offset")]
    return f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}"
