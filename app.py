"""create_app(), and the whole service: python app.py."""

import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from database import init_database, is_postgresql, release, release_connection, server_version

from flask import Flask

import commands
import housekeeping
import models
import repos
from derivatives import Derivatives
from errors import SettingsError
from feed import Feed
from settings import Settings, get_settings
from storage import Storage
from web import forms, guard, health, live, openapi, problems, waiting
from web.operations import IdConverter
from web.trackfiles import TrackFiles

access_log = logging.getLogger("ledger.access")
SMALL_BODY = 1024 * 1024
WORKER_STOP_SECONDS = 10.0
OTHER_THREADS = 128  # beside those of streams: 32 and 16 wait, 24 read bodies, 8 upload, 40 send, and some are free
MEGABYTE = 1_000_000
OPERATIONS = (live.api, health.health)
ROOT = Path(__file__).parent


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask app on the database of these settings (the environment's unless given), its schema up to date.

    Raises CannotStart with a sentence that says what to do.
    """
    settings = settings or get_settings()
    make_storage(settings)
    init_database(settings)

    app = Flask(__name__, static_folder=None)
    app.config["SETTINGS"] = settings
    app.extensions["job_store"] = repos.JobStore()
    storage = Storage(settings)
    app.extensions["track_files"] = TrackFiles(
        storage, Derivatives(storage, waiting.stopping), settings.max_upload_mb * MEGABYTE
    )
    app.extensions["feed"] = Feed(settings, waiting.stopping)
    app.extensions["streams"] = threading.BoundedSemaphore(settings.sse_limit)
    app.teardown_appcontext(give_back_connection)

    problems.register(app)
    guard.register(app, settings)

    app.url_map.converters["id"] = IdConverter
    for operations in OPERATIONS:
        app.register_blueprint(operations.blueprint)
    told = [operation for operations in OPERATIONS for operation in operations.all]
    app.register_blueprint(openapi.blueprint(told, bool(settings.api_token)))
    app.register_blueprint(openapi.docs())
    forms.register(app)
    app.cli.add_command(commands.worker)
    app.shell_context_processor(lambda: {**vars(models), **vars(repos)})
    app.wsgi_app = Logged(app.wsgi_app)  # type: ignore[method-assign]
    return app


def make_storage(settings: Settings) -> None:
    """Create the storage folder. Raises SettingsError."""
    try:
        settings.storage_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"STORAGE_DIR is {str(settings.storage_dir)!r}: that folder cannot be made ({error.strerror}); "
            "choose another, or give this user the right to write there."
        ) from None


def give_back_connection(error: BaseException | None) -> None:
    """To PostgreSQL's pool; a thread keeps its SQLite connection, since opening one costs more than a request."""
    if is_postgresql():
        release_connection()


class Logged:
    """WSGI middleware: one line a request, and small bodies handed over whole, which Granian sends much faster."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve the request; see PEP 3333."""
        began, code, length = time.perf_counter(), "-", SMALL_BODY

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal code, length
            code = status[:3]
            length = next((int(value) for name, value in headers if name.lower() == "content-length"), SMALL_BODY)
            return start_response(status, headers, *rest)

        body = self.app(environ, start)
        if length < SMALL_BODY:
            body = _whole(body)
        path = environ.get("PATH_INFO", "")
        shown = path if path.isascii() and path.isprintable() else quote(path, encoding="latin-1")
        taken = (time.perf_counter() - began) * 1000
        access_log.info("%s %s %s %.1f ms", environ["REQUEST_METHOD"], shown, code, taken)
        return body


def _whole(body: Iterable[bytes]) -> list[bytes]:
    try:
        return list(body)
    finally:
        getattr(body, "close", lambda: None)()


def web_app() -> Flask:
    """The app as Granian's worker process runs it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C reaches the parent, which stops us by SIGTERM
    if sys.platform == "linux":  # threads of one interpreter only fight over more cores
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    parent = multiprocessing.parent_process()  # getppid() is init's once the parent has died meanwhile
    threading.Thread(target=_end_with_parent, args=(parent.pid if parent else os.getppid(),), daemon=True).start()
    waiting.end_on_signal()
    log_to_stderr()
    app = create_app()
    settings: Settings = app.config["SETTINGS"]
    housekeeping.start(Storage(settings), waiting.stopping)
    if settings.webhook_url:
        import webhooks  # loads ssl, which nothing else needs

        webhooks.start(settings, waiting.stopping)
    return app


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def log_to_stderr() -> None:
    """One line an entry, on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("ledger")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = get_settings()
    make_storage(settings)
    init_database(settings)
    version = server_version()
    release()  # nothing open is inherited by the processes to come
    address = free_address(settings)
    place = "" if settings.is_postgresql else f" {settings.sqlite_path}"
    url = f"http://{f'[{address}]' if ':' in address else address}:{settings.port}"
    print(f"DiffRhythm Ledger: {url}  database: {version}{place}  storage: {settings.storage_dir}", flush=True)
    crew = Crew(settings.workers)
    granian = server(address, settings.port, OTHER_THREADS + settings.sse_limit)
    granian.on_startup(crew.start)
    granian.on_shutdown(crew.stop)
    # A worker inherits Granian's handlers: until it has its own, SIGTERM must end it rather than be swallowed.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    try:
        granian.serve()
    except SystemExit:
        if not granian.interrupt_signal:  # a worker that heard our signal before we did has not failed
            raise


class Crew:
    """The worker processes beside the web process; one that dies is started again.

    So many for jobs, and one for loops, so that a loop never waits behind a song; none at all for 0.
    """

    def __init__(self, count: int) -> None:
        self.kinds = ["jobs"] * count + ["loops"] * (count > 0)
        self.members: list[subprocess.Popen[bytes]] = []
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start them all."""
        self.members = [_worker(kind) for kind in self.kinds]
        self._watcher.start()

    def stop(self) -> None:
        """Have them release what they hold and end; after ten seconds they are killed."""
        self._stopping.set()
        self._watcher.join()
        for member in self.members:
            member.terminate()
        until = time.monotonic() + WORKER_STOP_SECONDS
        for member in self.members:
            try:
                member.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()

    def _watch(self) -> None:
        while not self._stopping.wait(1):
            for number, (kind, member) in enumerate(zip(self.kinds, self.members, strict=True)):
                if member.poll() is not None:
                    print(f"worker {member.pid} ended with code {member.returncode}; starting another", file=sys.stderr)
                    self.members[number] = _worker(kind)


def _worker(kind: str) -> subprocess.Popen[bytes]:
    """A worker in this working directory, which settings are relative to, wherever the program is."""
    begin = f"main([{kind!r}], parent={os.getpid()})"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from studio.worker import main; {begin}"
    return subprocess.Popen([sys.executable, "-c", code])


# The port as seen by other servers of this program, which may be starting at this very moment; it is free again when
# the last process that inherited it has ended.
_held = socket.socket(socket.AF_UNIX)


def free_address(settings: Settings) -> str:
    """HOST as an IP address on which PORT is free: two servers would silently share it. Raises SettingsError."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        if sys.platform == "linux":
            _held.bind(f"\0diffrhythm-ledger-{place[0]}-{settings.port}")
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "no host name"
        raise SettingsError(
            f"HOST is {settings.host!r} and PORT is {settings.port}: cannot listen there ({why}); "
            "stop the other program, or choose another port."
        ) from None
    return str(place[0])


def server(address: str, port: int, threads: int) -> Any:
    """Granian with one worker process, as measured best for one Flask app."""
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


if __name__ == "__main__":
    main()
