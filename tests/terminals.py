"""A process on a pseudo-terminal, as a person runs it."""

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.forked import Python
from tests.service import ROOT, clean_environment, wait_for


class Terminal:
    """`flask` on a terminal of 100 columns: what it has printed, and what is typed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.end, other = pty.openpty()
        command = [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"), *arguments]
        environment = clean_environment(TERM="xterm", COLUMNS="100", LINES="30")
        self.process = Python(
            command, cwd=folder, env=environment, stdin=other, stdout=other, stderr=other, start_new_session=True
        )
        os.close(other)
        os.set_blocking(self.end, False)
        self._printed = b""

    def printed(self) -> str:
        """All that it has printed so far."""
        with suppress(BlockingIOError, OSError):  # OSError: the process has ended
            while more := os.read(self.end, 65536):
                self._printed += more
        return self._printed.decode(errors="replace")

    def expect(self, text: str) -> None:
        """Wait until it has printed the text."""
        wait_for(lambda: text in self.printed(), 30, lambda: repr(self.printed()))

    def type(self, text: str) -> None:
        """Type the text."""
        os.write(self.end, text.encode())

    def exit_code(self) -> int:
        """Wait for its end."""
        wait_for(lambda: self.printed() and self.process.poll() is not None, 30, lambda: repr(self.printed()))
        return self.process.wait(1)


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    """Run `flask` in a folder on a terminal; it is killed at the end of the block."""
    opened = Terminal(folder, *arguments)
    try:
        yield opened
    finally:
        opened.process.kill()
        opened.process.wait(10)
        os.close(opened.end)
