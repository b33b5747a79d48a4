"""Creates the Flask app. `python app.py` runs the whole service."""

import gc
import socket
import sys
import threading
from contextlib import nullcontext
from functools import partial

from flask import Flask

import commands
import models
import repos
from access.access import SAVE_SECONDS, Access
from access.start import check_start
from commands.failures import exit_with_sentence, is_lookup
from database import commit_in_groups, give_back_connection, init_at_first_use, init_database, release
from errors import CannotStart
from files.derived import Derivatives
from files.storage import Storage, make_storage_folder
from files.tracks import TrackFiles
from files.uploads import Uploads
from generators.catalogue import catalogue
from maintenance import automatic, housekeeping
from maintenance.archive import regular
from maintenance.board import Board
from maintenance.periodic import Periodic
from records.events import Feed
from server import serving
from server import web as web_process
from server.front import Site
from settings import Settings, get_settings
from web import api, current, docs, guard, limits, openapi, pages, problems
from web.lean import LeanFlask
from web.operations import IdConverter

gc.freeze()  # modules stay: without this, each full collection, and the end of a command, looks at them all again

UNDELIVERED = 1000  # without WEBHOOK_URL, this many of the newest webhooks are kept, in case it is set later


@exit_with_sentence()
def create_app(settings: Settings | None = None) -> Flask:
    """Create the Flask app for these settings; by default, for the settings of the environment.

    Brings the schema of the database up to date; while `flask` looks for a command, only the first statement does this.
    Raises CannotStart with a sentence that says what to do. In a command of `flask`, this error ends the command.
    """
    settings = settings or get_settings()
    if not is_lookup():
        catalogue(settings)  # a wrong recipe stops the start
    make_storage_folder(settings)
    (init_at_first_use if is_lookup() else init_database)(settings)

    app = LeanFlask(__name__, static_folder=None)
    app.extensions[current.NAME] = services = make_services(settings)
    app.teardown_appcontext(lambda error: give_back_connection())

    problems.register(app)
    guard.register(app, settings, services.access)

    app.url_map.converters["id"] = IdConverter
    api.register(app)
    openapi.register(app, api.operations(), services.access.is_protected, catalogue(settings))
    docs.register(app)
    pages.register(app)
    if settings.subsonic_password:
        from web import subsonic  # imported here, because most services have no music players

        subsonic.register(app)

    commands.register(app)
    app.shell_context_processor(lambda: {**vars(models), **vars(repos)})
    return app


def make_services(settings: Settings) -> current.Services:
    """Create the objects that all requests of one app share."""
    stopping = threading.Event()
    storage = Storage(settings)
    derived = Derivatives(storage, stopping)
    track_files = TrackFiles(storage, derived, Uploads(storage, derived, settings.max_upload_mb * limits.MEGABYTE))
    feed = Feed(settings, stopping)
    places = limits.make_limits(settings)
    return current.Services(settings, Access(settings), storage, track_files, feed, places, stopping)


def run_web(listener: socket.socket, board: Board, place: int) -> None:
    """Serve the connections of this socket until SIGTERM: what a web process does. place: its place on the board."""
    settings = get_settings()
    reserved = web_process.prepare(settings)
    app = create_app(settings)
    commit_in_groups()
    services: current.Services = app.extensions[current.NAME]
    services.traffic.share(board, place)
    services.background.extend(background(services))
    body_limit = limits.body_limit(app, settings, services.access)
    shared = (services.storage.part, services.feed, services.traffic)
    is_upload, logs_json = partial(limits.is_upload, app), settings.log_format == "json"
    site = Site(app.wsgi_app, body_limit, limits.is_read, is_upload, *shared, limits.THREADS, logs_json)
    with reserved or nullcontext():
        web_process.run(listener, settings, site, services.stopping)
        services.close()
        release()


def background(services: current.Services) -> list[Periodic]:
    """Start the threads of a web process: housekeeping, the last use of tokens, and those that settings ask for.

    These are webhooks, backups, the archive, and the check for a new certificate.
    """
    settings, stopping = services.settings, services.stopping
    more = automatic.threads(settings, stopping)
    more.append(Periodic("access", SAVE_SECONDS, services.access.save_uses, stopping).start())
    if settings.tls_cert:
        from server import tls  # imported here, because most services have no certificate of their own

        certificate = tls.certificate_of(settings)
        certificate.refresh()  # this process may have been started long after its parent
        more.append(Periodic("certificate", tls.REFRESH_SECONDS, certificate.refresh, stopping).start())
    if settings.archive_after:
        more.append(regular.start(stopping))
    if not settings.webhook_url:
        return [housekeeping.start(services.storage, stopping, UNDELIVERED), *more]
    from server import webhooks  # imported here, because it loads ssl, and no other module needs ssl

    return [housekeeping.start(services.storage, stopping), webhooks.start(settings, stopping), *more]


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. If the service cannot start, print one sentence and exit."""
    try:
        settings = get_settings()
        check_start(settings)
        make_storage_folder(settings)
        catalogue(settings)  # the web processes and the workers inherit it
        limits.check_pool(settings)
        serving.serve(settings, run_web)
    except CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
