"""Refuses requests with an unknown Host, from a page of another site, or without the token."""

import hashlib
import hmac
import re

from flask import Flask, request

from errors import ForbiddenOrigin, Unauthorized
from settings import Settings, is_address

COOKIE = "ledger"
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d+)?")
READING = {"GET", "HEAD", "OPTIONS"}


def register(app: Flask, settings: Settings) -> None:
    """Check every request of this app before its view runs."""
    names = settings.host_names | {"localhost", settings.host.lower()}
    token = settings.api_token.encode()

    @app.before_request
    def check() -> None:
        host = request.environ.get("HTTP_HOST", "")
        if not _is_allowed(host, names):
            raise ForbiddenOrigin(f"This service is not reached by the name {host[:100]!r}: add it to ALLOWED_HOSTS.")
        if request.method not in READING and not _is_own_page(request.headers.get("Origin"), host):
            raise ForbiddenOrigin("A page of another site may not change anything here.")
        if token and request.path.startswith("/api/") and not (_is_token(token) or is_signed_in(token)):
            raise Unauthorized("Send the service's token as Authorization: Bearer <API_TOKEN>.")


def _is_allowed(host: str, names: frozenset[str]) -> bool:
    """True for these names and for any IP address. An attacker can make a name point here, but not an address."""
    match = HOST.fullmatch(host.lower())
    if match is None:
        return False
    name = match[1].strip("[]")
    return name in names or is_address(name)


def _is_own_page(origin: str | None, host: str) -> bool:
    return origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _is_token(token: bytes) -> bool:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode("latin-1", "replace"), token)


def is_signed_in(token: bytes) -> bool:
    """True if the request has the sign-in cookie for this token."""
    return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), cookie(token).encode())


def cookie(token: bytes) -> str:
    """The value of the sign-in cookie: a digest of the token, so that it expires when the token changes."""
    return hmac.new(token, b"the dashboard of the ledger", hashlib.sha256).hexdigest()
