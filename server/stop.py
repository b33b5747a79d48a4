"""Signals: those that stop the service, those of children that have ended, and the death of the parent."""

import multiprocessing
import os
import select
import signal
import socket
from types import FrameType

from files.child import on_death_of_parent


def end_with_parent() -> None:
    """Send this process SIGTERM when its parent has died."""
    parent = multiprocessing.parent_process()  # if the parent has died already, getppid() returns another process
    pid = parent.pid if parent and parent.pid else os.getppid()
    on_death_of_parent(pid, lambda: os.kill(os.getpid(), signal.SIGTERM))


class Signals:
    """Notices SIGTERM, Ctrl-C and the end of child processes, from its creation on. Create it in the main thread."""

    def __init__(self) -> None:
        self.must_stop = False
        self._reader, writer = socket.socketpair()
        self._reader.setblocking(False)
        writer.setblocking(False)
        self._writer = writer  # stays open for the signal handlers
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wait(self, seconds: float) -> None:
        """Wait until a signal arrives, at most these seconds."""
        if select.select([self._reader], [], [], seconds)[0]:
            self._reader.recv(4096)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.must_stop = True
