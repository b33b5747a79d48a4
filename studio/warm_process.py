"""A warm generator: a process that loads a model once, and then makes one piece of music after another."""

import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from studio.messages import LOADING, READY, Message, read_message, request_line
from studio.output import Lines, Log, ended
from studio.supervised import ERRORS, OUTPUT, Supervised

ROUNDS = 100  # of reading what is left in the pipes: a process that prints for ever must not hold up the worker


class GeneratorFailed(Exception):
    """The generator made nothing. The text is its own sentence, or its exit code and its last lines."""


class WarmProcess:
    """A generator that stays loaded, under a supervisor. It works on one request at a time.

    It gets the environment of this process without the settings, and these variables. The supervisor inherits the file
    descriptors `locks`, and keeps them until all processes of the generator have ended. A request fails if one of the
    texts `failed` is printed.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        locks: Collection[int] = (),
        failed: Collection[str] = (),
    ) -> None:
        self._failed = failed
        self._command = Supervised(command, folder, environment, locks, talks=True)
        self._lines = {OUTPUT: Lines(), ERRORS: Lines()}
        self._is_loaded = self._has_worked = False
        self.idle_since = time.monotonic()

    @property
    def pid(self) -> int:
        """The id of the process that guards the generator and its supervisor."""
        return self._command.pid

    @property
    def is_alive(self) -> bool:
        """True if the process can take a request."""
        return self._command.is_alive

    def request(
        self, order: Mapping[str, Any], log: Path, stop: Callable[[], bool], seconds: float
    ) -> Iterator[Message]:
        """Send a request, and iterate over what the generator says until it is done.

        What it prints meanwhile goes into the log; for the first request, also what it printed before. The process is
        stopped when stop() returns True: the iteration then ends without an error. It is also stopped after these
        seconds, and if the iteration is given up. Raises GeneratorFailed, and TimeoutError after the seconds.
        """
        kept, is_answered = Log(log, self._failed), False
        try:
            with closing(self._exchange(order, kept, stop, seconds)) as messages:
                for message in messages:
                    if message.is_last:
                        is_answered = True
                        _raise_failure(message, kept)
                        return
                    yield message
            if not stop():
                raise GeneratorFailed(ended("the generator", self._command.code, kept.last))
        finally:
            kept.close()
            if not is_answered:
                self.close()
            self.idle_since = time.monotonic()

    def drain(self, kept: Log | None = None) -> None:
        """Read what the process has printed since its last request, so that it can go on. Without a log, drop it."""
        for _ in range(ROUNDS):
            printed = self._command.read(0)
            for pipe, block in printed:
                self._messages(pipe, block, kept)
            if not printed:
                return

    def close(self) -> None:
        """Stop the generator and wait until all its processes have ended."""
        self._command.close()

    def _exchange(
        self, order: Mapping[str, Any], kept: Log, stop: Callable[[], bool], seconds: float
    ) -> Generator[Message]:
        """Send a request, and iterate over all messages and lines up to the last message, or the end of the process."""
        if self._has_worked:
            self.drain()
            self._keep_ends(None)
        self._has_worked, request_id = True, uuid.uuid4().hex
        self._command.send(request_line(order, request_id))
        yield READY if self._is_loaded else LOADING
        try:
            for pipe, block in self._command.output(stop, seconds):
                messages = self._messages(pipe, block, kept, request_id)
                if any(message.is_last for message in messages):
                    self.drain(kept)
                yield from messages
        finally:
            self._keep_ends(kept)

    def _messages(self, pipe: str, block: bytes, kept: Log | None, request_id: str | None = None) -> list[Message]:
        """The messages in a block, and the text of the other lines in it, which go into the log."""
        messages: list[Message] = []
        printed: list[bytes] = []
        for line in self._lines[pipe].add(block):
            message = read_message(line, request_id) if pipe == OUTPUT else None
            if message is None:
                printed.append(line)
            else:
                messages.append(message)
        self._is_loaded = self._is_loaded or any(message is READY or message.is_last for message in messages)
        return [*self._keep(printed, kept), *messages]

    def _keep_ends(self, kept: Log | None) -> None:
        """Write lines that have no end into the log, or drop them."""
        for lines in self._lines.values():
            self._keep(lines.end(), kept)

    def _keep(self, printed: list[bytes], kept: Log | None) -> Iterator[Message]:
        """Write lines into the log, and return their text; without a log, drop them."""
        if kept is None:
            return iter(())
        kept.write(b"".join(printed))
        return (Message(text=text) for text in kept.texts(printed))


def _raise_failure(message: Message, kept: Log) -> None:
    """Raise GeneratorFailed if the last message has an error, or if a text that means failure was printed before it."""
    if message.error is not None:
        raise GeneratorFailed(message.error)
    if kept.failure is not None:
        raise GeneratorFailed("\n".join([f"the generator failed: {kept.failure}", *kept.last]))
