"""A supervised process: started so that nothing of it survives us, read as it prints, stopped on request."""

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
LINES_OF_A_BLOCK = 40  # of 64 KiB: a flood of lines is not worth reading each
LAST_LINES = 8
LINE_CHARACTERS = 400
CONTROL = re.compile("[\\0-\\x1f\\x7f]+")  # nothing to show, and PostgreSQL takes no NUL


class Process:
    """A command under a supervisor; iterate over lines() until it has ended, then look at code."""

    def __init__(self, command: list[str], log: Path, folder: Path) -> None:
        supervisor = [sys.executable, "-S", "-E", "-m", "studio.supervisor", str(GRACE_SECONDS), str(folder.absolute())]
        ours = {name.upper() for name in Settings.model_fields}  # a token or a password is no business of a generator
        environment = {name: value for name, value in os.environ.items() if name.upper() not in ours}
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
        """What it prints, line by line (a carriage return ends one too; of a flood only the last), '' in between.

        Ends when the process has; stop() or running out of seconds ends it. Raises TimeoutError for the latter, after
        it is gone.
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
        """Ask the supervisor to end it: it has what that takes."""
        if self._inner.stdin is not None and not self._inner.stdin.closed:
            self._inner.stdin.close()

    def close(self) -> None:
        """Stop it and wait until it is gone; does nothing more after lines() ended."""
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
        """Log what is printed, up to LOG_BYTES: a generator that never stops must not fill the disk."""
        room = LOG_BYTES - self._written
        if room > 0:
            self._log.write(block[:room] if len(block) <= room else block[:room] + b"\n[the rest is not kept]\n")
            self._written += len(block)
