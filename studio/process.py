"""Runs a command to its end under a supervisor, reads its lines, and keeps its output in a log file."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from studio.output import Lines, Log
from studio.supervised import ROOT as ROOT
from studio.supervised import Supervised


class Process:
    """A command under a supervisor. Iterate over lines() until it has ended, then read its exit code from `code`.

    It gets the environment of this process without the settings, and these variables. The supervisor inherits the file
    descriptors `locks`, and keeps them until all processes of the command have ended.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        locks: Collection[int] = (),
    ) -> None:
        self._log = Log(log)
        self.last = self._log.last
        try:
            self._command = Supervised(command, folder, environment, locks)
        except BaseException:
            self._log.close()
            raise

    @property
    def code(self) -> int | None:
        """The exit code; None until all processes have ended."""
        return self._command.code

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
