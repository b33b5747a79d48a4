"""Refuses requests with an unknown Host, from a page of another site, or without a token that allows them."""

import re
from functools import lru_cache
from typing import Any

from flask import Flask, request
from werkzeug.sansio.http import parse_cookie

from access.access import Access, Grant
from access.clients import client_of
from errors import ForbiddenOrigin, LedgerError, ReadOnly, Unauthorized
from settings import Settings, is_address
from web.lean import HOSTS, LONGEST_HOST

COOKIE = "ledger"
SECURED = ("/api/", "/metrics")
PLAYERS = "/rest/"  # web/subsonic: each request proves its sign-in itself, and no cookie counts
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d+)?")
OTHER_SITES = ("cross-site", "same-site")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
REFUSAL, GRANT = "ledger.refusal", "ledger.grant"  # the keys in the environ of WSGI
MISSING = "Send a token as Authorization: Bearer <token>."
READ_ONLY = "Your token may only read: use one that was made without --read-only."


class Guard:
    """Decides by the head of a request, before its body is read, whether the request is allowed."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._access = access
        self._names = settings.host_names | {"localhost", settings.host.lower()}
        self._is_allowed = lru_cache(HOSTS)(self._is_allowed_host)  # most requests have the same Host

    def refusal(self, environ: dict[str, Any]) -> LedgerError | None:
        """Why the request with this environ of WSGI is refused; None if it is allowed.

        Call it once for a request: a wrong token counts each time. The environ gets the grant of the client.
        """
        host = environ.get("HTTP_HOST", "")
        if len(host) > LONGEST_HOST or not self._is_allowed(host):
            name = f"This service is not reached by the name {host[:100]!r}: add it to ALLOWED_HOSTS."
            return ForbiddenOrigin(name)
        path = path_of(environ)
        if path.startswith(PLAYERS):
            return None
        if environ["REQUEST_METHOD"] not in SAFE_METHODS and not _is_own_page(environ, host):
            return ForbiddenOrigin("A page of another site may not change anything here.")
        if path.startswith(SECURED) and self._access.is_protected():
            return self._refusal_of_client(environ)
        return None

    def knows(self, environ: dict[str, Any]) -> bool:
        """True if a request that is not refused has a token or a session, or if the service asks for none."""
        return GRANT in environ or not self._access.is_protected() or is_signed_in(self._access, environ)

    def _refusal_of_client(self, environ: dict[str, Any]) -> LedgerError | None:
        try:
            environ[GRANT] = grant = _grant(self._access, environ)
        except LedgerError as error:
            return error
        return None if may(grant, environ["REQUEST_METHOD"]) else ReadOnly(READ_ONLY)

    def _is_allowed_host(self, host: str) -> bool:
        """True for the names of this service and for any IP address.

        An attacker can make a host name point to this machine, but cannot do this with an address.
        """
        match = HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].strip("[]")
        return name in self._names or is_address(name)


def register(app: Flask, settings: Settings, access: Access) -> None:
    """Check every request of this app before its view runs."""
    guard = Guard(settings, access)

    @app.before_request
    def check() -> None:
        environ = request.environ
        refusal = environ[REFUSAL] if REFUSAL in environ else guard.refusal(environ)
        if refusal is not None:
            raise refusal


def path_of(environ: dict[str, Any]) -> str:
    """The path by which Flask finds the route of a request: it takes several slashes at its beginning for one."""
    return "/" + str(environ["PATH_INFO"]).lstrip("/")


def signed_in(access: Access, environ: dict[str, Any]) -> Grant | None:
    """The grant of the session whose cookie the request has; None without one. Raises TokensUnusable."""
    session_id = session_of(environ)
    return access.by_session(session_id) if session_id else None


def is_signed_in(access: Access, environ: dict[str, Any]) -> bool:
    """True if the request has the cookie of a session."""
    try:
        return signed_in(access, environ) is not None
    except LedgerError:
        return False


def session_of(environ: dict[str, Any]) -> str:
    """The id of the session in the cookie of a request; '' without a cookie. Other cookies may have any bytes."""
    return parse_cookie(environ["HTTP_COOKIE"]).get(COOKIE, "") if "HTTP_COOKIE" in environ else ""


def client(environ: dict[str, Any]) -> str | None:
    """The client whose failed sign-ins are counted; None for a program on this machine."""
    is_forwarded = "HTTP_X_FORWARDED_FOR" in environ or "HTTP_FORWARDED" in environ or "HTTP_VIA" in environ
    return client_of(environ.get("REMOTE_ADDR", ""), is_forwarded)


def may(grant: Grant, method: str) -> bool:
    """True if a client with this grant may send a request with this method."""
    return not grant.read_only or method in SAFE_METHODS


def _grant(access: Access, environ: dict[str, Any]) -> Grant:
    """The grant of the client. A Bearer token counts alone: a session beside it must not help to guess the token.

    Raises Unauthorized, WrongToken, TooManySignIns, TokensUnusable.
    """
    scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and sent.strip():
        return access.by_token(sent.strip(), client(environ))
    grant = signed_in(access, environ)
    if grant is None:
        raise Unauthorized(MISSING)
    return grant


def _is_own_page(environ: dict[str, Any], host: str) -> bool:
    """True if no browser sends this, or a page of this service. A browser sends one of these headers, or both."""
    origin = environ.get("HTTP_ORIGIN")
    is_own = origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")
    return is_own and environ.get("HTTP_SEC_FETCH_SITE") not in OTHER_SITES
