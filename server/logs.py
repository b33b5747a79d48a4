"""Writes one log line for each request, and sends the log to stderr."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

access_log = logging.getLogger("ledger.access")
SMALL_BODY = 1024 * 1024


class Logged:
    """WSGI middleware: logs each request. It passes small bodies on in one piece, which Granian sends faster."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request (the WSGI interface, PEP 3333)."""
        started_at, code, length = time.perf_counter(), "-", SMALL_BODY

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal code, length
            code = status[:3]
            length = next((int(value) for name, value in headers if name.lower() == "content-length"), SMALL_BODY)
            return start_response(status, headers, *rest)

        body = self.app(environ, start)
        if length < SMALL_BODY:
            body = _whole(body)
        path = environ.get("PATH_INFO", "")
        logged_path = path if path.isascii() and path.isprintable() else quote(path, encoding="latin-1")
        milliseconds = (time.perf_counter() - started_at) * 1000
        access_log.info("%s %s %s %.1f ms", environ["REQUEST_METHOD"], logged_path, code, milliseconds)
        return body


def _whole(body: Iterable[bytes]) -> list[bytes]:
    try:
        return list(body)
    finally:
        getattr(body, "close", lambda: None)()


def log_to_stderr() -> None:
    """Send the log of this service to stderr, one line for each entry."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("ledger")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False
