"""Turns every error into a response: RFC 9457 problem+json."""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import peewee
from flask import Flask, Response, has_request_context, request
from playhouse.pool import MaxConnectionsExceeded
from werkzeug.exceptions import HTTPException

import errors
from database.damage import ADVICE, is_damaged
from database.file_identity import FileGone
from database.refusals import does_disk_fail, is_disk_full
from maintenance.traffic import REQUEST_ID

log = logging.getLogger("ledger.web")

# The HTTP status and the code of each refusal.
REFUSALS: dict[type[errors.LedgerError], tuple[int, str]] = {
    errors.Malformed: (400, "invalid"),
    errors.Unauthorized: (401, "unauthorized"),
    errors.WrongToken: (401, "unauthorized"),
    errors.ReadOnly: (403, "forbidden"),
    errors.ForbiddenOrigin: (403, "forbidden_origin"),
    errors.NotFound: (404, "not_found"),
    errors.Conflict: (409, "conflict"),
    errors.LeaseLost: (409, "lease_lost"),
    errors.WrongStatus: (409, "wrong_status"),
    errors.LengthRequired: (411, "invalid"),
    errors.Stale: (412, "stale"),
    errors.TooLarge: (413, "too_large"),
    errors.UnsupportedMediaType: (415, "unsupported_media_type"),
    errors.Invalid: (422, "invalid"),
    errors.Undecodable: (404, "not_found"),
    errors.TooManySignIns: (429, "too_many_sign_ins"),
    errors.Busy: (503, "unavailable"),
    errors.TokensUnusable: (503, "unavailable"),
    errors.TooMany: (429, "too_many"),
    errors.StorageUnusable: (503, "unavailable"),
    errors.StorageGone: (503, "unavailable"),
    FileGone: (503, "unavailable"),
    errors.StorageFull: (507, "storage_full"),
    errors.MissingParent: (422, "invalid"),
    errors.WrongLines: (422, "invalid"),
}
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
DETAILS = {
    404: "There is nothing at this address: /docs lists what there is.",
    405: "This address does not take that method: the Allow header lists those it takes.",
}
AWAY = "The database cannot be used just now: send this again in a moment."
DISK_FAILS = (
    "The disk of the database is read-only or fails, so nothing can be saved: the log of the system says why. "
    "Stop the service, repair the disk or mount it for writing, then start the service again."
)
RETRY_SECONDS = "2"

_is_damage_logged = False  # in full


def problem(status: int, code: str, detail: str, fields: list[dict[str, str]] | None = None) -> Response:
    """A problem+json response."""
    body: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, "code": code}
    if fields:
        body["errors"] = fields
    if has_request_context() and REQUEST_ID in request.environ:
        body["request_id"] = request.environ[REQUEST_ID]
    # Plain ASCII, because the body may quote text from the client, such as a lone surrogate.
    return Response(json.dumps(body).encode(), status, content_type="application/problem+json")


def register(app: Flask) -> None:
    """Register the error handlers of this app."""
    for kind, handler in HANDLERS.items():
        app.register_error_handler(kind, handler)


def answer(error: BaseException) -> Response:
    """The response to an error."""
    handler: Callable[[Any], Response] = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    return handler(error)


def refused(error: errors.LedgerError) -> Response:
    """The response to a LedgerError. Its sentence is the detail."""
    status, code = REFUSALS[type(error)]
    answer = problem(status, code, str(error), getattr(error, "errors", None))
    if status in (429, 503):
        answer.headers["Retry-After"] = str(getattr(error, "retry_after", RETRY_SECONDS))
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def from_http(error: HTTPException) -> Response:
    """The response to an error of werkzeug, with its own headers (Allow, Content-Range, Location)."""
    inner = error.get_response()
    if inner.status_code < 400:
        return inner  # type: ignore[return-value]
    code = HTTP_CODES.get(inner.status_code, "internal" if inner.status_code >= 500 else "invalid")
    answer = problem(inner.status_code, code, DETAILS.get(inner.status_code) or error.description or inner.status)
    for name, value in inner.headers:
        if name not in ("Content-Type", "Content-Length"):
            answer.headers[name] = value
    return answer


def from_database(error: peewee.DatabaseError) -> Response:
    """The response to a database error: a defect if a statement is wrong, else the database is unavailable."""
    if is_damaged(error):
        return damaged(error)
    ours = isinstance(error, peewee.DataError | peewee.IntegrityError | peewee.InternalError | peewee.ProgrammingError)
    return unexpected(error) if ours and not does_disk_fail(error) else unavailable(error)


def unavailable(error: Exception) -> Response:
    """The response if the database is full, locked or away, or its disk fails: the client may try again."""
    log.error("database: %s", error)
    if is_disk_full(error):
        return problem(507, "storage_full", "The disk of the database is full: free some space, then send this again.")
    answer = problem(503, "unavailable", DISK_FAILS if does_disk_fail(error) else AWAY)
    answer.headers["Retry-After"] = RETRY_SECONDS
    return answer


def damaged(error: Exception) -> Response:
    """The response if a part of the database cannot be read. What is not damaged is served.

    The log has the traceback of the first such error.
    """
    global _is_damage_logged
    log.critical("the database is damaged: %s: %s", ADVICE, error, exc_info=None if _is_damage_logged else error)
    _is_damage_logged = True
    return problem(503, "unavailable", f"The database is damaged, and this part of it cannot be read: {ADVICE}.")


def unexpected(error: Exception) -> Response:
    """The response to a defect of this program. The log has the traceback."""
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem(500, "internal", "This is a defect of the service, not of the request; its log says more.")


HANDLERS: dict[type, Callable[..., Response]] = {
    errors.LedgerError: refused,
    HTTPException: from_http,
    peewee.DatabaseError: from_database,
    peewee.InterfaceError: unavailable,
    MaxConnectionsExceeded: unavailable,
    Exception: unexpected,
}
