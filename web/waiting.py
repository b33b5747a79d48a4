"""Requests that wait for something to happen, without holding up a shutdown or all the threads."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from database import is_postgresql, release_connection

Found = TypeVar("Found")
LOOK_SECONDS = 0.1
WAITERS = threading.BoundedSemaphore(40)  # of the server's 80 threads
stopping = threading.Event()


def wait_for(look: Callable[[], Found | None], seconds: float) -> Found | None:
    """The first thing look() finds within so many seconds, else None; looks once when too many wait already."""
    found = look()
    if found is not None or seconds <= 0 or not WAITERS.acquire(blocking=False):
        return found
    try:
        until = time.monotonic() + seconds
        while found is None and time.monotonic() < until:
            if is_postgresql():
                release_connection()  # others need it meanwhile
            if stopping.wait(LOOK_SECONDS):
                break
            found = look()
        return found
    finally:
        WAITERS.release()


def end_on_signal() -> None:
    """Set `stopping` when this process gets SIGTERM, whoever handles the signal itself; call it in the main thread."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        while number := reader.recv(1):
            if number[0] == signal.SIGTERM:
                stopping.set()

    threading.Thread(target=watch, daemon=True, name="end-on-signal").start()
    _kept.append(writer)


_kept: list[socket.socket] = []
