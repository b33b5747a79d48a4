"""Receives the forms of a track: its star and its title."""

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from errors import Invalid
from web import schemas
from web.answers import require
from web.pages.forms import by_field, own_address, read_form
from web.pages.routes import Routes
from web.pages.tracks import track_page, tracks
from web.texts import fields_of

routes = Routes()


@routes.post("/tracks/<id:track_id>/star")
def star_track(track_id: str) -> ResponseReturnValue:
    """Give a track a star, or take it away. Then show the page that had the form, at the same place."""
    track = require(tracks.update(track_id, starred=read_form().get("starred") == "true"))
    _, _, came_from = (request.referrer or "").partition("://")
    host, _, path = came_from.partition("#")[0].partition("/")
    if host != request.host:
        return redirect(url_for("pages.show_track", track_id=track_id), 303)
    page = own_address(f"/{path}")
    is_list = page.partition("?")[0] in (url_for("pages.show_jobs"), url_for("pages.show_tracks"))
    return redirect(f"{page}#job-{track.__data__['job']}" if is_list else page, 303)


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
