"""The log: the lines of requests look like the other lines, and a lost log stops nothing."""

import asyncio
import logging
import re
import sys
from io import StringIO

import pytest

from server.logs import AccessLog, log_to_stderr


def written(log: AccessLog, loop: asyncio.AbstractEventLoop, *lines: str) -> None:
    """Write lines in one turn of the loop, and let it write them out."""

    async def write() -> None:
        for line in lines:
            log.write(line)

    loop.run_until_complete(write())
    loop.run_until_complete(asyncio.sleep(0))


def test_the_lines_of_requests_look_like_the_other_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr := StringIO())
    log, loop = logging.getLogger("ledger"), asyncio.new_event_loop()
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    log_to_stderr()
    log.warning("one")
    written(AccessLog(loop), loop, "two", "three")
    loop.close()
    shape = re.sub(r"\d", "0", stderr.getvalue())
    assert shape == "".join(f"0000-00-00 00:00:00,000 {word}\n" for word in ("one", "two", "three"))


def test_a_log_that_nobody_reads_stops_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, loop = StringIO(), asyncio.new_event_loop()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log = AccessLog(loop)
    written(log, loop, "lost")
    monkeypatch.setattr(sys, "stderr", stderr := StringIO())
    written(log, loop, "next")
    loop.close()
    assert stderr.getvalue().endswith(" next\n") and "lost" not in stderr.getvalue()
