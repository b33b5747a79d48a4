"""REST: the covers of tracks."""

from typing import Any

from flask import Response

from errors import NotFound
from files import covers
from repos import TrackRepository
from web import schemas
from web.answers import record, require
from web.covers import send_cover
from web.current import services
from web.operations import Operations
from web.uploads import Upload

routes = Operations("/api")
tracks = TrackRepository()

PICTURE: dict[int, Any] = {200: ("image/png", "image/jpeg"), 206: ("image/png", "image/jpeg"), 304: None}
MISSING = "The track has no uploaded cover: upload one with PUT."


@routes.route("GET", "/tracks/<id:track_id>/cover", answers=PICTURE, problems=[404, 416, 507])
def get_track_cover(track_id: str) -> Response:
    """The cover of a track: the picture that was uploaded, or a PNG that is drawn from its waveform and its name."""
    track = require(tracks.get_by_id(track_id))
    return send_cover(track)


@routes.route("PUT", "/tracks/<id:track_id>/cover", answers={200: schemas.Track}, problems=[404])
def put_track_cover(track_id: str, upload: Upload) -> Response:
    """Upload the cover of a track: a PNG or a JPEG of at most 10 MB and 4096 pixels a side."""
    require(tracks.get_by_id(track_id))
    return record(covers.receive_cover(services().storage, track_id, upload))


@routes.route("DELETE", "/tracks/<id:track_id>/cover", answers={204: None}, problems=[404, 507])
def delete_track_cover(track_id: str) -> Response:
    """Remove the uploaded cover of a track. Then its cover is drawn again."""
    require(tracks.get_by_id(track_id))
    if not covers.remove_cover(services().storage, track_id):
        raise NotFound(MISSING)
    return Response(status=204)
