"""The dashboard: this module registers its pages and forms."""

from flask import Blueprint, Flask

from web.current import NAME
from web.pages import (
    forms,
    listening,
    log,
    making,
    many,
    pages,
    protection,
    queue,
    selection,
    takes,
    track_forms,
    track_rows,
    tracks,
    undo,
    wording,
)

PARTS = (pages, log, tracks, forms, many, track_forms, selection, undo, queue)
FILTERS = (wording, making, listening, takes, track_rows, undo, queue)


def register(app: Flask) -> None:
    """Add the pages and their forms to an app."""
    blueprint = Blueprint("pages", __name__, template_folder="templates", static_folder="static")
    blueprint.before_request(protection.require_sign_in)
    blueprint.after_request(protection.protect)
    blueprint.register_error_handler(Exception, protection.show_problem)
    for part in PARTS:
        part.routes.add_to(blueprint)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["services"] = app.extensions[NAME]
    app.jinja_env.globals.update(queue.GLOBALS)
    for module in FILTERS:
        app.jinja_env.filters.update(module.FILTERS)
    app.register_blueprint(blueprint)
