"""A call of a method of the protocol: its parameters, which are in the query or in a form."""

from collections.abc import Callable
from typing import Any

from flask import Response, request
from werkzeug.datastructures import MultiDict

from web.subsonic.failures import GENERIC, MISSING, Failure

CALL = "ledger.subsonic"  # the key of the call in the environ of WSGI: the body of a request can be read only once
FORM = "application/x-www-form-urlencoded"
MOST_IDS = 1000
MOST = 2**31 - 1
LONGEST = 2000  # characters of a value: the id of an artist has up to 1400
Fields = dict[str, Any]


class Call:
    """The parameters of a call."""

    def __init__(self, values: MultiDict[str, str]) -> None:
        self._values = values

    def get(self, name: str, default: str = "") -> str:
        """A parameter, or the default if the call does not have it; its first 2000 characters."""
        return _clean(self._values.get(name, default))

    def require(self, name: str) -> str:
        """A parameter that the method needs. It may be empty. Raises Failure."""
        if name not in self._values:
            raise Failure(MISSING, f"The parameter {name} is missing.")
        return self.get(name)

    def ids(self, name: str) -> list[str]:
        """All values of a parameter that may come several times; [] for none. Raises Failure for too many."""
        values = list(map(_clean, self._values.getlist(name)))
        if len(values) > MOST_IDS:
            raise Failure(GENERIC, f"The parameter {name} may come {MOST_IDS} times at most.")
        return values

    def number(self, name: str, default: int, most: int = MOST) -> int:
        """A whole number from 0 to `most`; a larger one becomes `most`. Raises Failure for another text."""
        text = self.get(name).strip()
        if text and not text.isdecimal():
            raise Failure(GENERIC, f"The parameter {name} is not a whole number.")
        return min(int(text[:12]), most) if text else default


Method = Callable[[Call], Fields | Response]


def this_call() -> Call:
    """The call of the current request. Raises an error of werkzeug if the server did not accept its form."""
    if CALL not in request.environ:
        request.environ[CALL] = Call(request.values if request.mimetype == FORM else request.args)
    return request.environ[CALL]  # type: ignore[no-any-return]


def call_without_form() -> Call:
    """The same, but if its form was not read, the call has only the parameters of the query."""
    return request.environ.get(CALL) or Call(request.args)


def _clean(value: str) -> str:
    return value[:LONGEST].replace("\0", "")
