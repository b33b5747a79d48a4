"""An operation: a route, what it takes and what it answers, told once for Flask, the validator and the document."""

import inspect
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from flask import Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.http import parse_etags
from werkzeug.routing import BaseConverter

from errors import Busy, Invalid, LengthRequired, Malformed, TooLarge, UnsupportedMediaType
from models import ID_PATTERN
from web import schemas
from web.current import services
from web.uploads import Upload

View = TypeVar("View", bound=Callable[..., Response])
IfMatch = list[int] | None  # versions
LeaseToken = str | None
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 100
LARGEST = 2**63 - 1
ETAG = re.compile("([0-9]{1,18})(-[0-9a-f]{16})?")  # a version, with a digest of the children when they are nested
WORDS = {
    r"\S": "must not be blank",
    ID_PATTERN: "must be made of A-Z a-z 0-9 . _ - and not be . or ..",
    schemas.METADATA_PATH: "is no path: write metadata.genre=ambient, with a dot between keys",
}


class IdConverter(BaseConverter):
    """A path segment that can be an id; any other is no address of this service."""

    regex = ID_PATTERN.strip("^$")


@dataclass(frozen=True)
class Operation:
    """One method of one path; query and body are the schemas its view takes."""

    method: str
    path: str
    view: Callable[..., Response]
    answers: dict[int, type[BaseModel] | tuple[str, ...] | None]
    problems: tuple[int, ...]
    query: type[schemas.Query] = schemas.NoQuery
    body: type[schemas.Body] | None = None
    conditional: bool = False
    upload: bool = False
    lease: Any = None
    headers: tuple[str, ...] = ()

    def __call__(self, **arguments: Any) -> Response:
        """Read what the view takes, and call it."""
        query = read_query(self.query)
        if self.query is not schemas.NoQuery:
            arguments["query"] = query
        if self.body is not None:
            arguments["body"] = read_body(self.body)
        if self.upload:
            arguments["upload"] = Upload()
        if self.conditional:
            arguments["if_match"] = read_if_match()
        if self.lease is not None:
            arguments["lease_token"] = read_lease_token(required=self.lease is str)
        return self.view(**arguments)


@dataclass
class Operations:
    """The operations of a module, in the order they were written; all paths begin with the prefix."""

    prefix: str
    all: list[Operation] = field(default_factory=list)

    def route(
        self,
        method: str,
        path: str,
        *,
        answers: dict[int, Any],
        problems: Sequence[int] = (),
        headers: Sequence[str] = (),
    ) -> Callable[[View], View]:
        """Declare a view; its parameters query, body, upload, if_match and lease_token are read from the request.

        headers names those that it reads by itself.
        """

        def declare(view: View) -> View:
            takes = inspect.signature(view).parameters
            given: dict[str, Any] = {name: takes[name].annotation for name in ("query", "body") if name in takes}
            if "lease_token" in takes:
                given["lease"] = takes["lease_token"].annotation
            guarded = "if_match" in takes
            given |= {"conditional": guarded, "upload": "upload" in takes, "headers": tuple(headers)}
            operation = Operation(method, self.prefix + path, view, answers, tuple(problems), **given)
            self.all.append(operation)
            return view

        return declare


def read_query(schema: type[schemas.Query]) -> Any:
    """The query string as the schema has it. Raises Malformed naming every bad parameter."""
    if not request.query_string and schema is schemas.NoQuery:
        return None
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if "\0" in name + "".join(values):
            raise _malformed([{"field": name, "message": "may not have the character U+0000"}])
        field = schema.model_fields.get(name)
        if name.startswith("metadata.") and "metadata" in schema.model_fields:
            given.setdefault("metadata", {})[name.removeprefix("metadata.")] = _only(name, values)
        elif name == "metadata":
            raise _malformed([{"field": name, "message": "name a path, as in metadata.genre=ambient"}])
        else:
            given[name] = values if field is not None and field.default == [] else _only(name, values)
    return read_as(schema, given)


def read_as(schema: type[schemas.Query], given: dict[str, Any]) -> Any:
    """These parameters as the schema has them. Raises Malformed naming every bad one."""
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise _malformed(_fields(error)) from None


def read_body(schema: type[schemas.Body]) -> Any:
    """The JSON body as the schema has it.

    Raises UnsupportedMediaType, and as raw_body() and validated() do.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    return validated(schema, raw_body())


def validated(schema: type[schemas.Body], raw: bytes) -> Any:
    """This JSON as the schema has it. Raises Malformed for what is not JSON, Invalid for what is not the schema's."""
    _check_json(raw)
    try:
        return schema.model_validate_json(raw)
    except ValidationError as error:
        fields = _fields(error)
        if any(problem["type"] == "json_invalid" for problem in error.errors(include_url=False, include_input=False)):
            raise Malformed(f"The body is not JSON: {fields[0]['message']}.") from None
        raise Invalid(_sentence("The body", fields), errors=fields) from None


def read_if_match() -> list[int] | None:
    """The versions named by If-Match; None without one or with *, [] when it names none of ours."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    found = (ETAG.fullmatch(tag or "") for tag in parse_etags(header).as_set())
    return [int(each[1]) for each in found if each]


def read_lease_token(required: bool) -> str | None:
    """The Lease-Token header. Raises Malformed when it is required and missing."""
    token = request.headers.get("Lease-Token")
    if token is None and required:
        raise Malformed("Send the lease_token that claim gave you in the header Lease-Token.", "Lease-Token")
    return token[:100] if token is not None else None


def raw_body() -> bytes:
    """The body, read whole. Raises LengthRequired, TooLarge, Malformed, Busy."""
    if "Transfer-Encoding" in request.headers:
        raise LengthRequired("Send the body whole, with a Content-Length.")
    length = request.content_length or 0
    if length > MAX_BODY_BYTES:
        raise TooLarge(f"The body has {length} bytes; {MAX_BODY_BYTES} are accepted.")
    readers = services().limits.bodies
    if not readers.acquire(blocking=False):
        raise Busy("Too many bodies are being read just now: send this again in a moment.")
    try:
        raw = request.get_data(cache=False)
    finally:
        readers.release()
    if len(raw) != length:
        raise Malformed(f"The body ended after {len(raw)} of {length} bytes: send it again.")
    return raw


def _check_json(raw: bytes) -> None:
    """Refuse what a lenient parser lets through: the schema's parser does the rest."""
    try:
        value = json.loads(raw.decode(), **STRICT)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Malformed(f"The body is not JSON: {said}.") from None
    if rb"\u0000" in raw or raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_value(value, 0)


def _check_value(value: Any, depth: int) -> None:
    """Raises Malformed for NUL in a text and for nesting that databases refuse."""
    if depth > MAX_DEPTH:
        raise Malformed(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, str) and "\0" in value:
        raise Malformed("The body has the character U+0000, which no text here can hold.")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_value(key, depth)
            _check_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or not -LARGEST - 1 <= int(text) <= LARGEST:
        raise ValueError(f"{text[:40]} does not fit 64 bits")
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


STRICT: dict[str, Any] = {
    "object_pairs_hook": _unique,
    "parse_float": _finite,
    "parse_int": _integer,
    "parse_constant": _no_constant,
}


def _only(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise _malformed([{"field": name, "message": "may be given once"}])
    return values[0]


def _fields(error: ValidationError) -> list[dict[str, str]]:
    return [
        {"field": ".".join(map(str, problem["loc"])), "message": _message(dict(problem))}
        for problem in error.errors(include_url=False, include_input=False)
    ]


def _message(problem: dict[str, Any]) -> str:
    """What was expected, in words rather than patterns."""
    if problem["type"] == "extra_forbidden":
        return "is not known here"
    pattern = problem.get("ctx", {}).get("pattern")
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Invalid JSON: ")
    return WORDS.get(pattern, message[0].lower() + message[1:])


def _malformed(fields: list[dict[str, str]]) -> Malformed:
    return Malformed(_sentence("The query", fields), errors=fields)


def _sentence(what: str, fields: list[dict[str, str]]) -> str:
    return f"{what} cannot be used: " + "; ".join(f"{each['field']} {each['message']}".strip() for each in fields) + "."
