"""Runs a command under a supervisor, which ends all its processes when the worker ends, and reads its output."""

import os
import re
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from settings import Settings

ROOT = Path(__file__).parent.parent  # where `python -m studio.…` works
GRACE_SECONDS = 1.0
TICK_SECONDS = 0.1
LOG_BYTES = 16 * 1024 * 1024
LINES_OF_A_BLOCK = 40  # of a block of 64 KiB: only the last lines matter for progress
LAST_LINES = 8
LINE_CHARACTERS = 400
CONTROL = re.compile("[\\0-\\x1f\\x7f]+")  # a terminal cannot show these, and PostgreSQL accepts no NUL


class Process:
    """A command under a supervisor. Iterate over lines() until it has ended, then read its exit code from `code`."""

    def __init__(self, command: list[str], log: Path, folder: Path) -> None:
        supervisor = [sys.executable, "-S", "-E", "-m", "studio.supervisor", str(GRACE_SECONDS), str(folder.absolute())]
        settings = {name.upper() for name in Settings.model_fields}  # a generator must not see tokens and passwords
        environment = {name: value for name, value in os.environ.items() if name.upper() not in settings}
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.code: int | None = None
        self._log = log.open("ab", buffering=0)
        self._written = self._log.tell()
        try:
            self._inner = subprocess.Popen(
                [*supervisor, *command],
                cwd=ROOT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except Exception:  # an argument with NUL, or no memory for another process
            self._log.close()
            raise

    def lines(self, stop: Callable[[], bool], seconds: float) -> Iterator[str]:
        """The lines that the command prints, and '' while it prints nothing. A carriage return ends a line, too.

        If very many lines arrive at once, only the last ones are returned. The command is stopped when stop() returns
        True, and after these seconds. After the seconds, it raises TimeoutError when all processes have ended.
        """
        until, stopped = time.monotonic() + seconds, False
        assert self._inner.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._inner.stdout, selectors.EVENT_READ)
            rest = b""
            while True:
                late = time.monotonic() > until
                if not stopped and (late or stop()):
                    stopped = True
                    self.stop()
                if not selector.select(TICK_SECONDS):
                    yield ""
                    continue
                if not (block := os.read(self._inner.stdout.fileno(), 65_536)):
                    break
                self._keep(block)
                *whole, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
                rest = rest[-LINE_CHARACTERS:]
                yield from self._text(whole[-LINES_OF_A_BLOCK:])
            yield from self._text([rest])
        self._finish()
        if late:
            raise TimeoutError

    def stop(self) -> None:
        """Tell the supervisor to end the command."""
        if self._inner.stdin is not None and not self._inner.stdin.closed:
            self._inner.stdin.close()

    def close(self) -> None:
        """Stop the command and wait until its processes have ended; does nothing after the end of lines()."""
        if self.code is None:
            self.stop()
            self._finish()

    def _finish(self) -> None:
        assert self._inner.stdout is not None
        self.code = self._inner.wait()
        self._inner.stdout.close()
        self.stop()
        self._log.close()

    def _text(self, raw: list[bytes]) -> Iterator[str]:
        for line in raw:
            text = CONTROL.sub(" ", line[-LINE_CHARACTERS:].decode("utf-8", "replace")).strip()
            if text:
                self.last.append(text)
                yield text

    def _keep(self, block: bytes) -> None:
        """Write output to the log, up to LOG_BYTES, so that a generator that prints for ever cannot fill the disk."""
        room = LOG_BYTES - self._written
        if room > 0:
            self._log.write(block[:room] if len(block) <= room else block[:room] + b"\n[the rest is not kept]\n")
            self._written += len(block)
