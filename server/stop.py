"""Tells a process to stop: on SIGTERM, and when its parent has died."""

import multiprocessing
import os
import signal
import socket
import threading
import time


def ignore_interrupt() -> None:
    """Block Ctrl-C in this process. The parent gets it, too, and sends SIGTERM to this process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """Send this process SIGTERM when its parent has died."""
    parent = multiprocessing.parent_process()  # if the parent has died already, getppid() returns another process
    pid = parent.pid if parent and parent.pid else os.getppid()
    threading.Thread(target=_watch_parent, args=(pid,), daemon=True, name="end-with-parent").start()


def set_on_sigterm(stopping: threading.Event) -> None:
    """Set the event when this process gets SIGTERM; the signal handlers stay. Call this in the main thread."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with reader, writer:  # writer is kept open for the signal handler
            while number := reader.recv(1):
                if number[0] == signal.SIGTERM:
                    stopping.set()

    threading.Thread(target=watch, daemon=True, name="set-on-sigterm").start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
