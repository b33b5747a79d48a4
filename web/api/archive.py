"""REST: the sound of several tracks as a ZIP archive."""

from functools import partial

from flask import Response, request

from files.bundles import Bundle
from web import schemas
from web.archive import chosen_tracks, pack, wanted_covers
from web.current import services
from web.downloads import disposition
from web.operations import Operations
from web.waiting import when_done

routes = Operations("/api")
ZIP = "application/zip"
DRAWING_SECONDS = 20.0  # covers that are not drawn by then are not in the archive
PACKING_SECONDS = 60.0  # from the request until the archive can be sent


@routes.route("GET", "/tracks.zip", answers={200: (ZIP,)}, problems=[404])
def get_archive_of_tracks(query: schemas.ArchiveQuery) -> Response:
    """The sound of up to 1000 tracks as a ZIP archive that is made while it is sent, with covers, playlist and lyrics.

    If a file vanishes meanwhile, the transfer breaks off.
    """
    ids, storage = chosen_tracks(query), services().storage
    packed = partial(pack, storage, ids, query.format)
    undrawn = wanted_covers(storage, ids) if request.method != "HEAD" else []
    packing = services().track_files.derivatives.make_all(undrawn, DRAWING_SECONDS, packed) if undrawn else None
    return _answer(packed()) if packing is None else when_done(packing, PACKING_SECONDS, _answer)


def _answer(bundle: Bundle) -> Response:
    answer = Response(bundle, content_type=ZIP, direct_passthrough=True)
    answer.content_length = bundle.size
    answer.headers["Content-Disposition"] = disposition("tracks", "zip", "attachment")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Accept-Ranges"] = "none"
    return answer
