"""Tells a process to stop: on SIGTERM, and when its parent has died."""

import multiprocessing
import os
import signal
import socket
import threading

from files.child import on_death_of_parent


def ignore_interrupt() -> None:
    """Block Ctrl-C in this process. The parent gets it, too, and sends SIGTERM to this process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """Send this process SIGTERM when its parent has died."""
    parent = multiprocessing.parent_process()  # if the parent has died already, getppid() returns another process
    pid = parent.pid if parent and parent.pid else os.getppid()
    on_death_of_parent(pid, lambda: os.kill(os.getpid(), signal.SIGTERM))


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
