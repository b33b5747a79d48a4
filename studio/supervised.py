"""A command under a supervisor, which ends all its processes when this process ends, and the pipes to it."""

import os
import select
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from generators.catalogue import ROOT as ROOT
from settings import Settings

GRACE_SECONDS = 1.0
TICK_SECONDS = 0.1
LOST_SECONDS = 3.0  # after the death of the supervisor: a process that outlives it would keep its pipe open for ever
BLOCK_BYTES = 65_536
OUTPUT, ERRORS = "output", "errors"  # the names of the pipes
Printed = tuple[str, bytes]  # the name of a pipe, and what was printed into it


class Supervised:
    """A running command. It ends, with all its processes, after stop() and when this process ends.

    If it talks, its standard input is a pipe for send(), and standard error is apart from standard output. Otherwise
    its standard input is empty, and standard error is a part of standard output. The supervisor inherits the file
    descriptors `locks`, and keeps them until all processes of the command have ended.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        locks: Collection[int] = (),
        talks: bool = False,
    ) -> None:
        self.code: int | None = None
        self._input = b""
        self._lost_at: float | None = None
        life, held = os.pipe()
        self._life = os.fdopen(held, "wb", buffering=0)
        supervisor = [sys.executable, "-S", "-E", "-m", "studio.supervisor", str(GRACE_SECONDS), str(life)]
        try:
            self._inner = subprocess.Popen(
                [*supervisor, str(folder.absolute()), *command],
                cwd=ROOT,
                env={**inherited_environment(), "PYTHONUNBUFFERED": "1", **(environment or {})},
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if talks else subprocess.STDOUT,
                pass_fds=(life, *locks),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:  # an argument with NUL, or no memory for another process
            self.stop()
            raise
        finally:
            os.close(life)
        self._selector = self._register()

    def _register(self) -> selectors.BaseSelector:
        selector = selectors.DefaultSelector()
        for pipe, name in ((self._inner.stdout, OUTPUT), (self._inner.stderr, ERRORS)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, name)
        if self._inner.stdin is not None:
            os.set_blocking(self._inner.stdin.fileno(), False)
        return selector

    @property
    def pid(self) -> int:
        """The id of the process that guards the command and its supervisor."""
        return self._inner.pid

    @property
    def is_alive(self) -> bool:
        """True while the command runs, has somebody who reads its standard input, and was not stopped."""
        return not self._life.closed and self._inner.poll() is None and not self._is_deaf()

    def output(self, stop: Callable[[], bool], seconds: float) -> Iterator[Printed]:
        """What the command prints until all its processes have ended, and (OUTPUT, b"") while it prints nothing.

        The command is stopped when stop() returns True, and after these seconds. After the seconds, it raises
        TimeoutError when all processes have ended.
        """
        until, late = time.monotonic() + seconds, False
        while self._may_print():
            if not self._life.closed:
                late = time.monotonic() > until
                if late or stop():
                    self.stop()
            yield from self.read(TICK_SECONDS) or [(OUTPUT, b"")]
        self.close()
        if late:
            raise TimeoutError

    def read(self, seconds: float) -> list[Printed]:
        """Wait up to these seconds for output, and return it. Meanwhile, write what send() was called with.

        Errors come first: what was printed before the last message of a warm generator must be read before it.
        """
        printed: list[Printed] = []
        for key, _ in self._selector.select(seconds) if self.code is None else []:
            if key.events & selectors.EVENT_WRITE:
                self._write(key.fd)
            elif block := os.read(key.fd, BLOCK_BYTES):
                printed.append((key.data, block))
            else:
                self._selector.unregister(key.fd)
        return sorted(printed, key=lambda block: block[0] != ERRORS)

    def send(self, data: bytes) -> None:
        """Write to the standard input of the command during the next calls of read() and output()."""
        if self.code is None and self._inner.stdin is not None:
            if not self._input:
                self._selector.register(self._inner.stdin, selectors.EVENT_WRITE)
            self._input += data

    def stop(self) -> None:
        """Tell the supervisor to end the command."""
        self._life.close()

    def close(self) -> None:
        """Stop the command and wait until its processes have ended. Drops what they still print."""
        if self.code is not None:
            return
        self.stop()
        while self._may_print():
            self.read(TICK_SECONDS)
        self.code = self._inner.wait()
        self._selector.close()
        for pipe in (self._inner.stdin, self._inner.stdout, self._inner.stderr):
            if pipe is not None:
                pipe.close()

    def _may_print(self) -> bool:
        if self.code is not None:
            return False
        if self._inner.poll() is not None:
            self._lost_at = self._lost_at or time.monotonic() + LOST_SECONDS
        is_lost = self._lost_at is not None and time.monotonic() > self._lost_at
        return not is_lost and any(key.events & selectors.EVENT_READ for key in self._selector.get_map().values())

    def _write(self, pipe: int) -> None:
        """Write a part of the input. A command that has closed its standard input is stopped: it can do no more."""
        try:
            self._input = self._input[os.write(pipe, self._input[:BLOCK_BYTES]) :]
        except BrokenPipeError:
            self._input = b""
            self.stop()
        if not self._input:
            self._selector.unregister(pipe)

    def _is_deaf(self) -> bool:
        """True if nobody reads the standard input any more. The supervisor notices an end only at its next look."""
        if self._inner.stdin is None:
            return False
        poll = select.poll()
        poll.register(self._inner.stdin, 0)
        return bool(poll.poll(0))


def inherited_environment() -> dict[str, str]:
    """The environment of this process without the settings: a generator must not see tokens and passwords."""
    settings = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in settings}
