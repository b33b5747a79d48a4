"""REST: pictures of the seams of loops."""

from typing import Any

from flask import Response

from models import Loop
from repos import LoopRepository, TrackRepository
from web import seams, waveform
from web.answers import require
from web.candidates import Candidate, candidate_of, outline_of, seam_of
from web.current import services
from web.operations import Operations
from web.waiting import when_made

routes = Operations("/api")
tracks, loops = TrackRepository(), LoopRepository()
PICTURE: dict[int, Any] = {200: ("image/svg+xml",), 304: None}


@routes.route("GET", "/loops/<id:loop_id>/seam.svg", answers=PICTURE, problems=[404, 409, 507])
def get_seam(loop_id: str) -> Response:
    """The seam of a completed loop as a picture: the sound around both ends, overlaid, with the cut in the middle."""
    loop = require(loops.get_by_id(loop_id))
    return picture(loop, seam_of(loop))


@routes.route("GET", "/loops/<id:loop_id>/candidates/<int:number>/seam.svg", answers=PICTURE, problems=[404, 409, 507])
def get_candidate_seam(loop_id: str, number: int) -> Response:
    """The seam of a candidate as a picture. 1 is the best seam."""
    loop = require(loops.get_by_id(loop_id))
    return picture(loop, candidate_of(loop, number))


def picture(loop: Loop, seam: Candidate) -> Response:
    """The picture of a seam, or 304. Raises NotFound, and BeingMade while the outline is made."""
    track, recipe = require(tracks.get_by_id(loop.__data__["track"])), outline_of(loop, seam)

    def answer(outline: dict[str, Any]) -> Response:
        return waveform.conditional(Response(seams.svg(outline, seam.crossfade), content_type="image/svg+xml"))

    return when_made(lambda: services().track_files.read_derived(track, recipe), answer)
