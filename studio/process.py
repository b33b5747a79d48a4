"""Runs a command to its end under a supervisor, reads its lines, and keeps its output in a log file."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.output import Lines, Log, ended
from studio.supervised import ROOT as ROOT
from studio.supervised import Supervised


@dataclass(frozen=True)
class Command:
    """A command line, the folder that it runs in, and the seconds that it may take.

    environment: variables that are added. locks: file descriptors that the supervisor keeps open until all processes
    have ended. failed: texts that mean failure when the command prints them, whatever its exit code is. says_why: with
    exit code 1, the last line that it prints is the reason, for people.
    """

    words: list[str]
    folder: Path
    seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    locks: Collection[int] = ()
    failed: Collection[str] = ()
    says_why: bool = False


class Process:
    """A command under a supervisor. Iterate over lines() until it has ended, then read its exit code from `code`.

    It gets the environment of this process without the settings, and the variables of the command. Its output is
    appended to the log file.
    """

    def __init__(self, command: Command, log: Path) -> None:
        self._log = Log(log, command.failed)
        self.last = self._log.last
        try:
            self._command = Supervised(command.words, command.folder, command.environment, command.locks)
        except BaseException:
            self._log.close()
            raise

    @property
    def code(self) -> int | None:
        """The exit code; None until all processes have ended."""
        return self._command.code

    @property
    def failure(self) -> str | None:
        """The line with a text that means failure; None if there was none."""
        return self._log.failure

    @property
    def pid(self) -> int:
        """The id of the process that guards the command and its supervisor."""
        return self._command.pid

    def lines(self, stop: Callable[[], bool], seconds: float) -> Iterator[str]:
        """The lines that the command prints, and '' while it prints nothing. A carriage return ends a line, too.

        If very many lines arrive at once, only the last ones are returned. The command is stopped when stop() returns
        True, and after these seconds. After the seconds, it raises TimeoutError when all processes have ended.
        """
        lines = Lines()
        try:
            for _, block in self._command.output(stop, seconds):
                self._log.write(block)
                yield from self._log.texts(lines.add(block)) if block else [""]
            yield from self._log.texts(lines.end())
        finally:
            self.close()

    def close(self) -> None:
        """Stop the command and wait until its processes have ended; does nothing after the end of lines()."""
        self._command.close()
        self._log.close()


def run(
    command: Command, log: Path, stop: Callable[[], bool], follow: Callable[[str], None] = lambda line: None
) -> Process:
    """Run a command to its end, and call follow() with each line. Returns the process. Raises TimeoutError."""
    process = Process(command, log)
    try:
        for line in process.lines(stop, command.seconds):
            follow(line)
    finally:
        process.close()
    return process


def why_failed(maker: str, command: Command, process: Process) -> str | None:
    """The sentence for a command that has failed; None if it has not. maker: what it is, for the sentence."""
    last = list(process.last)
    if process.code == 1 and command.says_why and last:
        return last[-1]
    if process.code != 0:
        return ended(maker, process.code, last)
    return "\n".join([f"{maker} failed: {process.failure}", *last]) if process.failure else None
