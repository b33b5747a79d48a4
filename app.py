"""Creates the Flask app. `python app.py` runs the whole service."""

import sys
import threading

from flask import Flask

import commands
import models
import repos
from database import give_back_connection, init_database
from errors import CannotStart
from files.derived import Derivatives
from files.storage import Storage, make_storage_folder
from files.tracks import TrackFiles
from records.events import Feed
from server import serving
from server.logs import Logged
from settings import Settings, get_settings
from web import api, current, docs, guard, limits, openapi, pages, problems
from web.operations import IdConverter

MEGABYTE = 1_000_000


@commands.exit_with_sentence()
def create_app(settings: Settings | None = None) -> Flask:
    """Create the Flask app for these settings; by default, for the settings of the environment.

    Brings the schema of the database up to date. Raises CannotStart with a sentence that says what to do. In a command
    of `flask`, this error ends the command.
    """
    settings = settings or get_settings()
    make_storage_folder(settings)
    init_database(settings)

    app = Flask(__name__, static_folder=None)
    app.extensions[current.NAME] = make_services(settings)
    app.teardown_appcontext(lambda error: give_back_connection())

    problems.register(app)
    guard.register(app, settings)

    app.url_map.converters["id"] = IdConverter
    api.register(app)
    openapi.register(app, api.operations(), bool(settings.api_token))
    docs.register(app)
    pages.register(app)

    commands.register(app)
    app.shell_context_processor(lambda: {**vars(models), **vars(repos)})
    app.wsgi_app = Logged(app.wsgi_app)  # type: ignore[method-assign]
    return app


def make_services(settings: Settings) -> current.Services:
    """Create the objects that all requests of one app share."""
    stopping = threading.Event()
    storage = Storage(settings)
    places = limits.Limits(streams=threading.BoundedSemaphore(settings.sse_limit))
    derived = Derivatives(storage, stopping, places.encodings)
    track_files = TrackFiles(storage, derived, settings.max_upload_mb * MEGABYTE, places.uploads)
    feed = Feed(settings, stopping)
    return current.Services(settings, storage, track_files, repos.JobStore(), feed, places, stopping)


def web_app() -> Flask:
    """Create the app for the web process, and start its background threads."""
    app = create_app()
    services: current.Services = app.extensions[current.NAME]
    threads = serving.start_web_process(services.settings, services.storage, services.stopping)
    services.background.extend(threads)
    return app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. If the service cannot start, print one sentence and exit."""
    try:
        settings = get_settings()
        make_storage_folder(settings)
        serving.serve(settings, limits.server_threads(settings))
    except CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
