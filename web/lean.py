"""Flask without what this service does not use. Flask takes half the time of a small request; this saves a third of it.

Guards, blueprints, error handlers and the test client work as in any Flask app.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter
from werkzeug.sansio.utils import get_host

HOSTS = 256  # spellings of the Host header that are kept with their meaning


class NoSessions(SessionInterface):
    """Sessions are not used: sign-in has a cookie of its own. All requests share one empty session."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """The empty session. Whoever writes to it gets an error."""
        return NO_SESSION


NO_SESSION: SessionMixin = SessionInterface().make_null_session(Flask(__name__))


class LeanFlask(Flask):
    """A Flask app with plain views only: none is async, there are no sessions, and routes do not depend on the host."""

    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself. Flask inspects it three times in a request."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the route of a request. Flask reads the host, the port and the subdomain twice for it."""
        environ = {} if request is None else request.environ
        if request is None or "HTTP_HOST" not in environ:
            return super().create_url_adapter(request)
        request.host = _host(request.scheme, environ["HTTP_HOST"])
        query = request.query_string.decode(errors="replace")
        place = (request.host.lower(), f"{request.root_path}/", "", request.scheme)
        return MapAdapter(self.url_map, *place, request.path, request.method, query)


class JsonResponse(Response):
    """A JSON text, whose headers are final, and whose body is one block of bytes."""

    def __init__(self, text: bytes, status: int = 200) -> None:
        super().__init__(None, status, content_type="application/json")
        self._body = [text]
        self.response = self._body

    def get_wsgi_headers(self, environ: dict[str, Any]) -> Headers:
        """The headers as they are, with the length of the body."""
        if self.status_code == 304:
            return super().get_wsgi_headers(environ)
        if "Content-Length" not in self.headers:
            self.headers["Content-Length"] = str(len(self._body[0]))
        return self.headers

    def get_app_iter(self, environ: dict[str, Any]) -> Iterable[bytes]:
        """The body."""
        if self._on_close or environ["REQUEST_METHOD"] == "HEAD" or self.status_code == 304:
            return super().get_app_iter(environ)
        return self._body


def not_modified(etag: str) -> Response:
    """304 for a client that has the version with this ETag."""
    answer = Response(status=304, headers=[("ETag", etag)])
    del answer.headers["Content-Type"]
    return answer


@lru_cache(HOSTS)
def _host(scheme: str, header: str) -> str:
    return get_host(scheme, header)
