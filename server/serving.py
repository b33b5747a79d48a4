"""Serves the web app with Granian, and runs the workers beside it."""

import os
import signal
import socket
import threading
from typing import Any

from database import init_database, release, server_version
from files.child import remember_cores
from files.storage import Storage
from maintenance import housekeeping
from maintenance.periodic import Periodic
from server import stop
from server.address import reserve_address
from server.affinity import pin_to_core
from server.crew import Crew
from server.logs import log_to_stderr
from settings import Settings

_reserved: list[socket.socket | None] = []  # the socket that reserves the core of this process, until the process ends
UNDELIVERED = 1000  # without WEBHOOK_URL, this many of the newest webhooks are kept, in case it is set later


def serve(settings: Settings, threads: int) -> None:
    """Serve app:web_app until SIGTERM or Ctrl-C. Raises SettingsError, DatabaseUnusable, SystemExit."""
    init_database(settings)
    version = server_version()
    release()  # the processes that start now must not inherit an open connection
    address, reservation = reserve_address(settings)
    place = "" if settings.is_postgresql else f" {settings.sqlite_path}"
    url = f"http://{f'[{address}]' if ':' in address else address}:{settings.port}"
    print(f"DiffRhythm Ledger: {url}  database: {version}{place}  storage: {settings.storage_dir}", flush=True)
    crew = Crew(settings.workers)
    granian = web_server(address, settings.port, threads)
    granian.on_startup(crew.start)
    granian.on_shutdown(crew.stop)
    # A worker inherits Granian's signal handlers. Until it sets its own, SIGTERM must end it.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    with reservation:
        try:
            granian.serve()
        except SystemExit:
            if not granian.interrupt_signal:  # after a signal, a web process that ended first has not failed
                raise


def start_web_process(settings: Settings, storage: Storage, stopping: threading.Event) -> list[Periodic]:
    """Prepare this process to serve: its core, signals and log. Returns the threads of housekeeping and webhooks."""
    stop.ignore_interrupt()
    if settings.pin_web_process:
        remember_cores()  # for encoders
        _reserved.append(pin_to_core(settings.port))
    stop.end_with_parent()
    stop.set_on_sigterm(stopping)
    log_to_stderr()
    if not settings.webhook_url:
        return [housekeeping.start(storage, stopping, UNDELIVERED)]
    from server import webhooks  # imported here, because it loads ssl, and no other module needs ssl

    return [housekeeping.start(storage, stopping), webhooks.start(settings, stopping)]


def web_server(address: str, port: int, threads: int) -> Any:
    """Granian with one worker process: in measurements, the fastest configuration for one Flask app."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    return Granian(
        "app:web_app",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        blocking_threads=threads,
        blocking_threads_idle_timeout=600,
        backpressure=1000,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        workers_kill_timeout=5,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
    )
