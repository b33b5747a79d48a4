"""The output of a generator: cut into lines, cleaned, and kept in the log file of a job."""

import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path

LOG_BYTES = 16 * 1024 * 1024
LONGEST_LINE = 64 * 1024  # bytes
LINES_OF_A_BLOCK = 40  # of a block of 64 KiB: only the last lines matter for progress
LAST_LINES = 8
LINE_CHARACTERS = 400
CONTROL = re.compile("[\\0-\\x1f\\x7f]+")  # a terminal cannot show these, and PostgreSQL accepts no NUL


class Lines:
    """Cuts blocks of bytes into lines. A carriage return ends a line, too: progress bars have no other end."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, block: bytes) -> list[bytes]:
        """The lines that end in this block, with their ends. A line longer than LONGEST_LINE comes in parts."""
        lines = (self._rest + block).splitlines(keepends=True)
        is_open = bool(lines) and not lines[-1].endswith((b"\n", b"\r")) and len(lines[-1]) <= LONGEST_LINE
        self._rest = lines.pop() if is_open else b""
        return lines

    def end(self) -> list[bytes]:
        """The line that has no end, if there is one."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Log:
    """The log file of a job, the last lines in it, and the first line with a text that means failure."""

    def __init__(self, path: Path, failed: Iterable[str] = ()) -> None:
        self.failure: str | None = None
        self._failed = [text.encode() for text in failed]
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._file = path.open("ab", buffering=0)
        self._written = self._file.tell()

    def write(self, block: bytes) -> None:
        """Keep output, up to LOG_BYTES, so that a generator that prints for ever cannot fill the disk."""
        room = LOG_BYTES - self._written
        if room > 0:
            self._file.write(block[:room] if len(block) <= room else block[:room] + b"\n[the rest is not kept]\n")
            self._written += len(block)

    def texts(self, lines: list[bytes]) -> list[str]:
        """The text of lines that were printed at once, without blank ones; of very many lines, only the last ones."""
        if self._failed and self.failure is None:
            self.failure = next((plain(line) for line in lines if any(text in line for text in self._failed)), None)
        texts = list(filter(None, map(plain, lines[-LINES_OF_A_BLOCK:])))
        self.last.extend(texts)
        return texts

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def plain(line: bytes) -> str:
    """The last LINE_CHARACTERS of a line, without control characters."""
    return CONTROL.sub(" ", line[-LINE_CHARACTERS:].decode("utf-8", "replace")).strip()


def ended(maker: str, code: int | None, last: Iterable[str]) -> str:
    """The sentence for a command that ended with this code after these lines."""
    printed = "\n".join(last) or "it printed nothing"
    return f"{maker} ended with code {code}: {printed}"
