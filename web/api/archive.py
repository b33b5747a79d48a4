"""REST: the sound of several tracks as a ZIP archive."""

from flask import Response

from files.bundles import Bundle
from web import schemas
from web.archive import chosen_tracks, entries
from web.current import services
from web.downloads import disposition
from web.operations import Operations

routes = Operations("/api")
ZIP = "application/zip"


@routes.route("GET", "/tracks.zip", answers={200: (ZIP,)}, problems=[404])
def get_archive_of_tracks(query: schemas.ArchiveQuery) -> Response:
    """The sound of up to 1000 tracks as a ZIP archive that is made while it is sent, with playlist and lyrics.

    If a file vanishes meanwhile, the transfer breaks off.
    """
    tracks = chosen_tracks(query)
    bundle = Bundle(entries(services().storage, tracks, query.format))
    answer = Response(bundle, content_type=ZIP, direct_passthrough=True)
    answer.content_length = bundle.size
    answer.headers["Content-Disposition"] = disposition("tracks", "zip", "attachment")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Accept-Ranges"] = "none"
    return answer
