"""Responses that are not ready to send: what a server must wait for, and what it must do then."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from database.groups import Group

# A server that supports these classes sets this key in the environ of WSGI. The value is a function: it returns True if
# the client has closed its end of the connection.
HAS_LEFT = "ledger.has_left"


@dataclass(eq=False)
class Wait:
    """The body of a response that a server must wait for. Only a server that supports this class gets one.

    The server calls attempt(False) when something has changed, until it returns a WSGI app: that is the response. After
    `seconds` it calls attempt(True), which always returns a response. At the end it calls close().

    What can change: the job with job_id ends; the future is done; or for a claim, work becomes pending. claim_of is the
    kind of work: (job or loop, the types of jobs). All claims with the same claim_of can take the same work.
    """

    seconds: float
    attempt: Callable[[bool], Any]
    close: Callable[[], object]
    job_id: str | None = None
    claim_of: tuple[str, frozenset[str]] | None = None
    future: Future[Any] | None = None


# If a response must wait for a Commit, the app stores the Commit in the environ of WSGI under this key. It does so only
# for a server that sets HAS_LEFT.
COMMIT = "ledger.commit"


@dataclass(frozen=True)
class Commit:
    """A response may be sent only after the commit of this group. If that fails, refusal(error) is the response."""

    group: Group
    refusal: Callable[[BaseException], Any]
