"""Writes a line to the log for each request."""

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

from maintenance.logs import json_line, json_time, text_time


class Entry(NamedTuple):
    """What the log says of one request. status: the three digits. milliseconds: until the answer began."""

    client: str
    method: str
    path: str
    status: str
    milliseconds: float
    request_id: str


class AccessLog:
    """The lines of requests, as text or as JSON objects like the other lines. All methods run in the event loop.

    The lines of one turn of the loop are written together. Through the logging module, one line would take a tenth of
    the time of a small request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, as_json: bool = False) -> None:
        self._loop, self._line = loop, _json if as_json else _text
        self._lines: list[str] = []
        self._second, self._time = 0, ""  # the last second, and its text

    def write(self, entry: Entry) -> None:
        """Write a line soon."""
        if not self._lines:
            self._loop.call_soon(self.flush)
        self._lines.append(self._line(self, entry, time.time()))

    def flush(self) -> None:
        """Write the lines now."""
        text, self._lines = "".join(self._lines), []
        with suppress(OSError, ValueError):  # nobody reads the log
            sys.stderr.write(text)
            sys.stderr.flush()

    def beginning(self, now: float) -> str:
        """The date and the time to the second, as the lines of text have it. Made once a second."""
        second = int(now)
        if second != self._second:
            self._second, self._time = second, text_time(second)[:-4]
        return self._time


def _text(log: AccessLog, entry: Entry, now: float) -> str:
    client, method, path, status, milliseconds, request_id = entry
    when = f"{log.beginning(now)},{int(now % 1 * 1000):03d}"
    return f"{when} {client} {method} {_shown(path)} {status} {milliseconds:.1f} ms {request_id}\n"


def _json(log: AccessLog, entry: Entry, now: float) -> str:
    shown = _shown(entry.path)
    fields: dict[str, Any] = {"time": json_time(now), "level": "info", "logger": "ledger.access"}
    fields |= {"message": f"{entry.method} {shown} {entry.status}", **entry._asdict(), "path": shown}
    fields |= {"status": int(entry.status), "milliseconds": round(entry.milliseconds, 1)}
    return f"{json_line(fields)}\n"


def _shown(path: str) -> str:
    """The path as the log has it: a path with other characters than those of ASCII text is quoted."""
    return path if path.isascii() and path.isprintable() else quote(path, encoding="latin-1")
