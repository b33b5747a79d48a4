"""Runs the whole service: listens, then keeps the web processes and the workers running until SIGTERM or Ctrl-C."""

import socket
from collections.abc import Callable
from functools import partial

from database import init_database, release, require_writable, server_version
from maintenance.board import Board
from maintenance.logs import log_to_stderr
from server.address import listen
from server.crew import Crew
from server.stop import Signals
from settings import Settings


def serve(settings: Settings, run_web: Callable[[socket.socket, Board, int], None]) -> None:
    """Run the service. run_web(a listening socket, the board, a place on it) is what a web process does.

    Returns after SIGTERM or Ctrl-C, when all processes have ended. Raises SettingsError, DatabaseUnusable.
    """
    if settings.tls_cert:
        from server import tls  # imported here, because most services have no certificate of their own

        tls.certificate_of(settings)
    init_database(settings)
    require_writable()
    version = server_version()
    release()  # the processes that start now must not inherit an open connection
    with listen(settings) as listener:
        signals = Signals()
        place = "" if settings.is_postgresql else f" {settings.sqlite_path}"
        address = listener.getsockname()[0]
        url = f"{settings.scheme}://{f'[{address}]' if ':' in address else address}:{settings.port}"
        print(f"DiffRhythm Ledger: {url}  database: {version}{place}  storage: {settings.storage_dir}", flush=True)
        log_to_stderr(settings)
        board = Board(settings.web_processes + 1)
        Crew(settings.web_processes, settings.workers, partial(run_web, listener, board), board).run(signals)
