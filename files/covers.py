"""The covers that people upload for tracks: a PNG or a JPEG in the folder of the track. No column names it.

The file is published inside a transaction that changes the track, and a deletion locks the track before it looks for
the file. So a deletion of the track comes before the upload, and then there is no track; or after it, and then the
deletion finds the file. A process that is killed in between leaves the old cover or the new one.
"""

from pathlib import Path

from database import give_back_connection
from errors import Malformed
from files.pictures import read_header
from files.publishing import publish_file, sync
from files.refusals import storage_errors
from files.storage import Storage, is_file
from files.uploads import Upload
from models import Track
from repos import TrackRepository

MOST_BYTES = 10_000_000
MOST_PIXELS = 4096  # of a side
tracks = TrackRepository()


def receive_cover(storage: Storage, track_id: str, upload: Upload) -> Track | None:
    """Make an upload the cover of a track. Returns the track, or None if there is no such track.

    Raises Malformed, TooLarge, StorageFull, StorageUnusable, and what Upload.save() raises.
    """
    give_back_connection()  # an upload takes long, and other requests need the connection
    part = storage.part()
    try:
        with storage_errors():
            upload.save(part, MOST_BYTES)
            _require_picture(part)
            sync(part)
            with tracks.changed(track_id) as track:
                if track is not None:
                    publish_file(part, storage.cover(track_id))
                return track
    finally:
        part.unlink(missing_ok=True)


def remove_cover(storage: Storage, track_id: str) -> bool:
    """Remove the uploaded cover of a track. False if there is none, or no such track. Raises StorageUnusable."""
    path = storage.cover(track_id)
    if not is_file(path):
        return False
    with storage_errors(), tracks.changed(track_id) as track:
        if track is None or not is_file(path):
            return False
        path.unlink()
        sync(path.parent)
    storage.remove_empty("track", track_id)
    return True


def version_of(cover: Path) -> str | None:
    """A text that changes whenever this file is replaced; None if it is gone."""
    try:
        status = cover.lstat()
    except OSError:
        return None
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _require_picture(path: Path) -> None:
    with path.open("rb") as file:
        picture = read_header(file)
    if picture is None:
        raise Malformed("The body is no PNG and no JPEG: send one of these.")
    if max(picture.width, picture.height) > MOST_PIXELS:
        raise Malformed(
            f"The picture has {picture.width} × {picture.height} pixels: at most {MOST_PIXELS} a side are taken."
        )
