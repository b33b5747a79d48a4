"""Builds the environ of WSGI (PEP 3333) from the head of a request."""

import ipaddress
import re
import sys
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from access.clients import Address, parsed

Environ = dict[str, Any]
HeaderLine = tuple[bytes, bytes]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
WITHOUT_PREFIX = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}
LONGEST_NAME = 64  # bytes of a header name that is kept
MOST_PROXIES = 20  # addresses in X-Forwarded-For that are read, from the last one on: to read 6,000 took 180 ms
WITH_PORT = re.compile(r"\[(.+)](?::\d+)?|([\d.]+):\d+")


class BadRequest(ValueError):
    """The head of a request is refused; the text says why."""


class Environs:
    """Makes the environ of each request. Trusts the X-Forwarded headers of these proxies only."""

    def __init__(self, port: int, trusted_proxies: frozenset[Network], scheme: str = "http") -> None:
        self.trusted_proxies = trusted_proxies
        self._base: Environ = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scheme,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }

    def make(self, method: str, version: str, url: bytes, headers: list[HeaderLine], peer: str) -> Environ:
        """The environ of a request, without its body. Raises BadRequest."""
        environ = self._base.copy()
        environ["REQUEST_METHOD"] = method
        if version != "1.1":
            environ["SERVER_PROTOCOL"] = f"HTTP/{version}"
        environ["REQUEST_URI"] = url.decode("latin-1")
        for name, value in headers:
            key = (_kept_key if len(name) <= LONGEST_NAME else _key)(name)
            if not key:
                continue
            text = value.decode("latin-1")
            if key in environ:
                if key == "HTTP_HOST":
                    raise BadRequest("The request has two Host headers: send one.")
                separator = "; " if key == "HTTP_COOKIE" else ","
                text = f"{environ[key]}{separator}{text}"
            environ[key] = text
        if "HTTP_HOST" not in environ and version == "1.1":
            raise BadRequest("The request has no Host header: HTTP/1.1 requires one.")
        self._add_target(environ, method, url)
        environ["REMOTE_ADDR"] = peer
        if self.trusted_proxies:
            self._look_behind_proxies(environ)
        return environ

    def _add_target(self, environ: Environ, method: str, url: bytes) -> None:
        """The path, percent-decoded once, and the query. A URL with a host wins over the Host header (RFC 9112)."""
        if method == "CONNECT" or url == b"*":
            path, environ["QUERY_STRING"] = url, ""
        elif url.startswith(b"/"):
            path, _, query = url.partition(b"#")[0].partition(b"?")
            environ["QUERY_STRING"] = query.decode("latin-1")
        else:
            try:
                parsed = httptools.parse_url(url)
            except httptools.HttpParserInvalidURLError:
                raise BadRequest("The target of the request is no URL.") from None
            path, environ["QUERY_STRING"] = parsed.path or b"/", (parsed.query or b"").decode("latin-1")
            port = b"" if parsed.port is None else b":%d" % parsed.port
            host = parsed.host or b""
            environ["HTTP_HOST"] = ((b"[%s]" % host if b":" in host else host) + port).decode("latin-1")
        environ["PATH_INFO"] = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")

    def _look_behind_proxies(self, environ: Environ) -> None:
        """Behind a trusted proxy, the address and the scheme are those of the client.

        The client is the last address in X-Forwarded-For that is not a trusted proxy.
        """
        if not self._is_trusted(parsed(environ["REMOTE_ADDR"])):
            return
        if environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower() == "https":
            environ["wsgi.url_scheme"] = "https"
        for text in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-MOST_PROXIES:]):
            address = parsed(_without_port(text.strip()))
            if address is None:
                return
            environ["REMOTE_ADDR"] = str(address)
            if not self._is_trusted(address):
                return

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.trusted_proxies)


def _without_port(text: str) -> str:
    """The address without its port, as some proxies write it: 192.0.2.7:5000, [2001:db8::7]:5000."""
    match = WITH_PORT.fullmatch(text)
    return match[1] or match[2] if match else text


def _key(name: bytes) -> str:
    """The name of a header in an environ; '' if the header is left out.

    A name with an underscore would look like the same name with a hyphen. This server has no protocol for an Upgrade.
    """
    if b"_" in name or name.lower() == b"upgrade":
        return ""
    key = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
    return WITHOUT_PREFIX.get(key, key)


_kept_key = lru_cache(256)(_key)
