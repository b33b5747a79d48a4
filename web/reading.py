"""Reads and validates requests: the query string, the body and the headers."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from flask import request
from pydantic import ValidationError
from werkzeug.http import parse_etags

from errors import Invalid, LengthRequired, Malformed, TooLarge, UnsupportedMediaType
from models import ID_PATTERN
from web import schemas
from web.strict_json import read_json

ETAG = re.compile("([0-9]{1,18})(-[0-9a-f]{16})?")  # a version, with a digest of the children when they are nested
KEPT_QUERIES, KEPT_LENGTH = 256, 200  # query strings that are cached, at most; and the length of the longest one
BODY_BYTES = 1024 * 1024
BATCH_BYTES = 8 * BODY_BYTES  # of many jobs
STRANGER_BYTES = 64 * 1024  # for a client that has not signed in, although API_TOKEN is set
# The kinds of files of many jobs, by media type.
BATCH_TYPES = {
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "text/csv": "csv",
    "text/plain": "txt",
}
# Messages for clients, by the type of an error, also after its field, and by the pattern that does not match.
BY_TYPE = {
    "extra_forbidden": "is not known here",
    "model_type": "input should be an object",
    "dict_type": "input should be an object",
    "list_type": "input should be a valid array",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "too_short": "must have {min_length} or more items",
    "too_long": "must have {max_length} items at most",
    "title string_too_short": "must have 1 to 200 characters; null removes it",
}
BY_PATTERN = {
    r"\S": "must not be blank",
    ID_PATTERN: "must be made of A-Z a-z 0-9 . _ - and not be . or ..",
    schemas.METADATA_PATH: "is no path: write metadata.genre=ambient, with a dot between keys",
}


class Lines(NamedTuple):
    """A body of many jobs: its bytes, and what kind of file they are."""

    raw: bytes
    kind: str


def read_query(schema: type[schemas.Query]) -> Any:
    """Read the query string into the schema. Do not change the object. Raises Malformed, which names every error."""
    query = request.query_string
    return _kept_query(schema, query) if len(query) <= KEPT_LENGTH else _parse_query(schema, query)


def _parse_query(schema: type[schemas.Query], query: bytes) -> Any:
    """Read the query string into the schema. query: the query string of the current request."""
    if not query and schema is schemas.NoQuery:
        return None
    parameters: dict[str, Any] = {}
    for name, values in request.args.lists():
        if "\0" in name + "".join(values):
            raise _malformed([{"field": name, "message": "may not have the character U+0000"}])
        field = schema.model_fields.get(name)
        if name.startswith("metadata.") and "metadata" in schema.model_fields:
            parameters.setdefault("metadata", {})[name.removeprefix("metadata.")] = _only(name, values)
        elif name == "metadata":
            raise _malformed([{"field": name, "message": "name a path, as in metadata.genre=ambient"}])
        else:
            parameters[name] = values if field is not None and field.default == [] else _only(name, values)
    return validate_query(schema, parameters)


# Clients often send the same short query strings. Errors are not cached.
_kept_query = lru_cache(KEPT_QUERIES)(_parse_query)


def validate_query(schema: type[schemas.Query], parameters: dict[str, Any]) -> Any:
    """Validate these parameters. Returns the schema object. Raises Malformed, which names every wrong parameter."""
    try:
        return schema.model_validate(parameters)
    except ValidationError as error:
        raise _malformed(_fields(error)) from None


def read_body(schema: type[schemas.Body]) -> Any:
    """Read the JSON body into the schema; no body is {} if the body of this schema is optional.

    Raises UnsupportedMediaType, and the errors of raw_body(), read_json() and validate_body().
    """
    environ = request.environ  # reading a header of a Request takes longer than parsing the body
    if schema.is_optional and not request.content_length and "HTTP_TRANSFER_ENCODING" not in environ:
        return validate_body(schema, {})
    if environ.get("CONTENT_TYPE") != "application/json" and request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    _require_identity()
    return validate_body(schema, read_json(raw_body()))


def read_lines() -> Lines:
    """The body with many jobs, not parsed. Raises UnsupportedMediaType, and the errors of raw_body()."""
    if request.mimetype not in BATCH_TYPES:
        raise UnsupportedMediaType(f"Send the jobs as Content-Type: {', '.join(BATCH_TYPES)}.")
    _require_identity()
    return Lines(raw_body(BATCH_BYTES), BATCH_TYPES[request.mimetype])


def _require_identity() -> None:
    if request.environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")


def validate_body(schema: type[schemas.Body], value: Any) -> Any:
    """Validate a JSON value. Returns the schema object. Raises Invalid, which names every wrong field.

    The schemas are strict and have only JSON types, so validating the parsed value is as strict as validating JSON
    text.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        fields = _fields(error)
        raise Invalid(_sentence("The body", fields), errors=fields) from None


def read_if_match() -> list[int] | None:
    """The versions in the If-Match header. None without the header or for *; [] if it has no ETag of this service."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    matches = (ETAG.fullmatch(tag or "") for tag in parse_etags(header).as_set())
    return [int(match[1]) for match in matches if match]


def read_lease_token(required: bool) -> str | None:
    """The Lease-Token header. Raises Malformed if it is required and missing."""
    token = request.headers.get("Lease-Token")
    if token is None and required:
        raise Malformed("Send the lease_token that claim gave you in the header Lease-Token.", "Lease-Token")
    return token[:100] if token is not None else None


def raw_body(limit: int = BODY_BYTES) -> bytes:
    """Read the whole body. Raises LengthRequired, TooLarge, Malformed."""
    environ = request.environ
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequired("Send the body whole, with a Content-Length.")
    length = request.content_length or 0
    if length > limit:
        raise TooLarge(f"The body has {length} bytes; {limit} are accepted.")
    raw: bytes = environ["wsgi.input"].read(length)
    while len(raw) < length and (more := environ["wsgi.input"].read(length - len(raw))):
        raw += more
    if len(raw) != length:
        raise Malformed(f"The body ended after {len(raw)} of {length} bytes: send it again.")
    return raw


def _only(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise _malformed([{"field": name, "message": "may be given once"}])
    return values[0]


def _fields(error: ValidationError) -> list[dict[str, str]]:
    """The wrong fields. Of a field that may be null, only the error of its other type is of use."""
    return [
        {"field": _path(problem["loc"]), "message": _message(dict(problem))}
        for problem in error.errors(include_url=False, include_input=False)
        if problem["type"] != "none_required"
    ]


def _path(place: tuple[int | str, ...]) -> str:
    """The dotted path of a field, without pydantic's names for types and keys: function-before[…], [key]."""
    names = (str(part) for part in place)
    return ".".join(name for name in names if not name.endswith("]") and name != "constrained-str")


def _message(problem: dict[str, Any]) -> str:
    """The message of a problem, without patterns and Python types."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    usual = BY_PATTERN.get(problem.get("ctx", {}).get("pattern"), message[0].lower() + message[1:])
    kind, field = problem["type"], next(iter(problem["loc"]), "")
    ours = BY_TYPE.get(f"{field} {kind}") or BY_TYPE.get(kind)
    return ours.format(**problem.get("ctx", {})) if ours else usual


def _malformed(fields: list[dict[str, str]]) -> Malformed:
    return Malformed(_sentence("The query", fields), errors=fields)


def _sentence(what: str, fields: list[dict[str, str]]) -> str:
    reasons = "; ".join(f"{problem['field']} {problem['message']}".strip() for problem in fields)
    return f"{what} cannot be used: {reasons}."
