"""Answers of the protocol: a tree of values, written as XML, JSON or JSONP, and errors in the same form."""

import json
import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from flask import Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from errors import TooManySignIns
from settings import VERSION
from web import problems
from web.subsonic.calls import Call, Fields, call_without_form
from web.subsonic.failures import GENERIC, NOT_FOUND, Failure

PROTOCOL = "1.16.1"
NAMESPACE = "http://subsonic.org/restapi"
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # the characters that XML 1.0 forbids
CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,99}", re.ASCII)  # no other text of a request becomes a script


def reply(call: Call, body: Fields, status: str = "ok") -> Response:
    """The answer with this body, in the form that the call asks for. Raises Failure for a wrong callback."""
    about = {"status": status, "version": PROTOCOL, "type": "diffrhythm-ledger", "serverVersion": VERSION}
    tree = {**about, "openSubsonic": True, **body}
    form = call.get("f")
    if form == "json":
        return _response(as_json(tree), "application/json")
    if form == "jsonp":
        callback = call.get("callback")
        if not CALLBACK.fullmatch(callback):
            raise Failure(GENERIC, "The parameter callback is not the name of a function.")
        return _response(f"{callback}({as_json(tree)});", "text/javascript; charset=utf-8")
    text = element("subsonic-response", {"xmlns": NAMESPACE, **tree})
    return _response(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', "text/xml; charset=utf-8")


def failed(error: Exception) -> Response:
    """The answer to an error. Its status is 200, because players do not read the body of other answers.

    Only a Range that a file does not have is answered with 416, as players expect of a file.
    """
    if isinstance(error, RequestedRangeNotSatisfiable):
        return problems.answer(error)
    failure, call = _failure(error), call_without_form()
    body = {"error": {"code": failure.code, "message": str(failure)}}
    try:
        answer = reply(call, body, "failed")
    except Failure:  # the callback is wrong
        answer = _response(as_json({"status": "failed", "version": PROTOCOL, **body}), "application/json")
    if isinstance(error, TooManySignIns):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def as_json(tree: Fields) -> str:
    """The tree as JSON. Half of a character outside the BMP stays: _response() replaces it."""
    return json.dumps({"subsonic-response": tree}, ensure_ascii=False, separators=(",", ":"))


def element(name: str, value: Any) -> str:
    """A value as XML: each item of a list as an element. Plain values of an object are attributes, `value` is its text.

    Characters that XML forbids become U+FFFD.
    """
    if isinstance(value, list):
        return "".join([element(name, item) for item in value])
    if not isinstance(value, dict):
        return f"<{name}>{escape(_text(value))}</{name}>"
    inner = [element(key, item) for key, item in value.items() if isinstance(item, list | dict)]
    inner += [escape(_text(value["value"]))] if "value" in value else []
    attributes = [
        f" {key}={quoteattr(_text(item))}"
        for key, item in value.items()
        if not isinstance(item, list | dict) and key != "value"
    ]
    return f"<{name}{''.join(attributes)}>{''.join(inner)}</{name}>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return FORBIDDEN.sub("\ufffd", str(value))


def _failure(error: Exception) -> Failure:
    """The failure for any error. The log has the errors that are defects, as for REST."""
    if isinstance(error, Failure):
        return error
    problem = problems.answer(error)
    code = NOT_FOUND if problem.status_code == 404 else GENERIC
    return Failure(code, problem.get_json()["detail"])


def _response(text: str, content_type: str) -> Response:
    return Response(text.encode("utf-8", "replace"), content_type=content_type, headers=HEADERS)
