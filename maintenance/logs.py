"""The log: lines of text, or JSON objects with LOG_FORMAT=json. Both go to stderr."""

import json
import logging
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from settings import Settings

TEXT = "%(asctime)s %(message)s"
TIME = "%Y-%m-%d %H:%M:%S"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that this thread answers


def log_to_stderr(settings: Settings) -> None:
    """Send the log of this service to stderr, one line for each entry."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else logging.Formatter(TEXT))
    log = logging.getLogger("ledger")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False


class JsonFormatter(logging.Formatter):
    """Writes an entry as a JSON object: time, level, logger, message, and if there are any, request_id and error."""

    def format(self, record: logging.LogRecord) -> str:
        """The entry as one line."""
        entry: dict[str, Any] = {
            "time": json_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get() is not None:
            entry["request_id"] = request_id.get()
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json_line(entry)


def json_time(seconds: float) -> str:
    """A moment in seconds since 1970 as ISO 8601 with milliseconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text_time(seconds: float) -> str:
    """A moment in seconds since 1970 as the lines of text have it, in local time."""
    return f"{time.strftime(TIME, time.localtime(seconds))},{int(seconds % 1 * 1000):03d}"


def json_line(entry: dict[str, Any]) -> str:
    """An entry as JSON in plain ASCII, without the end of the line."""
    return json.dumps(entry, separators=(",", ":"))
