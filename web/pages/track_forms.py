"""Receives the forms of a track: its star and its title."""

from urllib.parse import urlsplit

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from errors import Invalid
from web import schemas
from web.answers import require
from web.pages.forms import by_field, read_form
from web.pages.routes import Routes
from web.pages.tracks import track_page, tracks
from web.texts import fields_of

routes = Routes()


@routes.post("/tracks/<id:track_id>/star")
def star_track(track_id: str) -> ResponseReturnValue:
    """Give a track a star, or take it away. Then show the page that had the form, at the same place."""
    track = require(tracks.update(track_id, starred=read_form().get("starred") == "true"))
    came_from = urlsplit(request.referrer or "")
    if came_from.netloc != request.host or not came_from.path.startswith("/"):
        return redirect(url_for("pages.show_track", track_id=track_id), 303)
    page = f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
    return redirect(f"{page}#job-{track.__data__['job']}", 303)


@routes.post("/tracks/<id:track_id>/title")
def name_track(track_id: str) -> ResponseReturnValue:
    """Give a track the title of the form, or none, or show the form with its error."""
    title = read_form().get("title", "").strip()
    try:
        fields = fields_of(schemas.TrackPatch, {"title": title or None})
        require(tracks.update(track_id, **fields))
    except Invalid as error:
        return track_page(track_id, title, by_field(error)), 422
    return redirect(url_for("pages.show_track", track_id=track_id), 303)
