"""The log: the lines of requests look like the other lines, and a lost log stops nothing."""

import asyncio
import json
import logging
import re
import sys
from io import StringIO

import pytest

from maintenance.logs import log_to_stderr, request_id
from server.logs import AccessLog, Entry
from settings import Settings


def written(log: AccessLog, loop: asyncio.AbstractEventLoop, *lines: str) -> None:
    """Write lines in one turn of the loop, and let it write them out."""

    async def write() -> None:
        for line in lines:
            log.write(Entry("127.0.0.1", "GET", line, "200", 1.23, "id-1"))

    loop.run_until_complete(write())
    loop.run_until_complete(asyncio.sleep(0))


def test_the_lines_of_requests_look_like_the_other_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr := StringIO())
    log, loop = logging.getLogger("ledger"), asyncio.new_event_loop()
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    log_to_stderr(Settings(_env_file=None))
    log.warning("one")
    written(AccessLog(loop), loop, "/two", "/th ree\xe4")
    loop.close()
    times = re.sub(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "", stderr.getvalue())
    lines = ["one", "127.0.0.1 GET /two 200 1.2 ms id-1", "127.0.0.1 GET /th%20ree%E4 200 1.2 ms id-1"]
    assert times.splitlines() == lines


def test_the_log_can_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr := StringIO())
    log, loop = logging.getLogger("ledger"), asyncio.new_event_loop()
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    log_to_stderr(Settings(_env_file=None, log_format="json"))
    request_id.set("id-0")
    try:
        raise ValueError("bad\nline")
    except ValueError:
        log.exception("one %s", "\ud800")
    request_id.set(None)
    log.info("two")
    written(AccessLog(loop, as_json=True), loop, "/three\xe4")
    loop.close()
    first, second, third = map(json.loads, stderr.getvalue().splitlines())
    assert (first["message"], first["level"], first["request_id"]) == ("one \ud800", "error", "id-0")
    assert first["error"].endswith("ValueError: bad\nline") and "request_id" not in second
    assert third.pop("time") >= second["time"] and third.pop("message") == "GET /three%E4 200"
    expected = {"level": "info", "logger": "ledger.access", "client": "127.0.0.1", "method": "GET"}
    assert third == {**expected, "path": "/three%E4", "status": 200, "milliseconds": 1.2, "request_id": "id-1"}


def test_a_log_that_nobody_reads_stops_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, loop = StringIO(), asyncio.new_event_loop()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log = AccessLog(loop)
    written(log, loop, "/lost")
    monkeypatch.setattr(sys, "stderr", stderr := StringIO())
    written(log, loop, "/next")
    loop.close()
    assert "GET /next 200" in stderr.getvalue() and "lost" not in stderr.getvalue()
