"""Refuses requests with an unknown Host, from a page of another site, or without the token."""

import hashlib
import hmac
import re
from functools import lru_cache
from typing import Any

from flask import Flask, request
from werkzeug.http import parse_cookie

from errors import ForbiddenOrigin, LedgerError, Unauthorized
from settings import Settings, is_address
from web.lean import HOSTS, LONGEST_HOST

COOKIE = "ledger"
SECURED = ("/api/", "/metrics")
PLAYERS = "/rest/"  # web/subsonic: each request proves its sign-in itself, and no cookie counts
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d+)?")
OTHER_SITES = ("cross-site", "same-site")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """Decides by the head of a request, before its body is read, whether the request is allowed."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.host_names | {"localhost", settings.host.lower()}
        self._token = settings.api_token.encode()
        self._is_allowed = lru_cache(HOSTS)(self._is_allowed_host)  # most requests have the same Host

    def refusal(self, environ: dict[str, Any]) -> LedgerError | None:
        """Why the request with this environ of WSGI is refused; None if it is allowed."""
        host = environ.get("HTTP_HOST", "")
        if len(host) > LONGEST_HOST or not self._is_allowed(host):
            name = f"This service is not reached by the name {host[:100]!r}: add it to ALLOWED_HOSTS."
            return ForbiddenOrigin(name)
        if environ["PATH_INFO"].startswith(PLAYERS):
            return None
        if environ["REQUEST_METHOD"] not in SAFE_METHODS and not _is_own_page(environ, host):
            return ForbiddenOrigin("A page of another site may not change anything here.")
        if environ["PATH_INFO"].startswith(SECURED) and not self.knows(environ):
            return Unauthorized("Send the service's token as Authorization: Bearer <API_TOKEN>.")
        return None

    def knows(self, environ: dict[str, Any]) -> bool:
        """True if the client has sent the token or has signed in; always true without API_TOKEN."""
        return not self._token or _has_token(environ, self._token) or is_signed_in(environ, self._token)

    def _is_allowed_host(self, host: str) -> bool:
        """True for the names of this service and for any IP address.

        An attacker can make a host name point to this machine, but cannot do this with an address.
        """
        match = HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].strip("[]")
        return name in self._names or is_address(name)


def register(app: Flask, settings: Settings) -> None:
    """Check every request of this app before its view runs."""
    guard = Guard(settings)

    @app.before_request
    def check() -> None:
        refusal = guard.refusal(request.environ)
        if refusal is not None:
            raise refusal


def _is_own_page(environ: dict[str, Any], host: str) -> bool:
    """True if no browser sends this, or a page of this service. A browser sends one of these headers, or both."""
    origin = environ.get("HTTP_ORIGIN")
    is_own = origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")
    return is_own and environ.get("HTTP_SEC_FETCH_SITE") not in OTHER_SITES


def _has_token(environ: dict[str, Any], token: bytes) -> bool:
    scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode("latin-1", "replace"), token)


def is_signed_in(environ: dict[str, Any], token: bytes) -> bool:
    """True if the request has the sign-in cookie for this token."""
    sent = parse_cookie(environ).get(COOKIE, "")
    return hmac.compare_digest(sent.encode("utf-8", "replace"), cookie(token).encode())


def cookie(token: bytes) -> str:
    """The value of the sign-in cookie: a digest of the token, so that it expires when the token changes."""
    return hmac.new(token, b"the dashboard of the ledger", hashlib.sha256).hexdigest()
