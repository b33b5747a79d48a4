"""The OpenSubsonic interface, for music players: /rest/, loaded only if SUBSONIC_PASSWORD is set."""

from flask import Blueprint, Flask, Response

from web.subsonic import browsing, catalogue, lists, media, searching, stars, system
from web.subsonic.calls import Method, this_call
from web.subsonic.failures import NOT_ALLOWED, NOT_FOUND, Failure
from web.subsonic.replies import failed, reply
from web.subsonic.sign_in import check_sign_in

PARTS = (system, browsing, lists, searching, media, stars)
METHODS: dict[str, Method] = {name: method for part in PARTS for name, method in part.METHODS.items()}


def register(app: Flask) -> None:
    """Add the route of all methods to an app."""
    blueprint = Blueprint("subsonic", __name__)
    blueprint.add_url_rule("/rest/<path:method>", "call", answer, methods=["GET", "POST"])
    blueprint.register_error_handler(Exception, failed)
    blueprint.after_request(open_to_pages)
    app.extensions[catalogue.NAME] = catalogue.Catalogue()
    app.register_blueprint(blueprint)


def answer(method: str) -> Response:
    """The answer to a call. Raises Failure, and errors of the service."""
    call, name = this_call(), method.removesuffix(".view")
    if name not in system.PUBLIC:
        check_sign_in(call)
    result = _find(name)(call)
    return result if isinstance(result, Response) else reply(call, result)


def open_to_pages(response: Response) -> Response:
    """Let players that are web pages read the answer. No cookie opens this interface, so a page needs the password."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _find(name: str) -> Method:
    if name in METHODS:
        return METHODS[name]
    if name in system.CHANGES:
        raise Failure(NOT_ALLOWED, f"{name} changes something: a player can change nothing here but stars.")
    raise Failure(NOT_FOUND, f"There is no method {name[:100]} here.")
