"""The covers that people upload for tracks: a PNG or a JPEG in the folder of the track. No column names it.

The file is replaced or removed inside a transaction that changes the track, and a deletion locks the track before it
looks for the file. So a deletion of the track comes before the change, and then there is no track; or after it, and
then the deletion finds the file. If the transaction fails, the cover is as before. A process that is killed in between
leaves the old cover or the new one.
"""

import threading
from pathlib import Path
from typing import Self

from database import give_back_connection
from errors import Malformed
from files.pictures import read_header
from files.publishing import link_or_copy, publish_file, sync
from files.refusals import storage_errors
from files.storage import COVER_NAME, Storage, is_file, remove_tree
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
    with storage_errors():
        try:
            upload.save(part, MOST_BYTES)
            _require_picture(part)
            sync(part)
            with _Change(storage, track_id) as change, tracks.changed(track_id) as track:
                if track is not None:
                    change.publish(part)
                return track
        finally:
            part.unlink(missing_ok=True)


def remove_cover(storage: Storage, track_id: str) -> bool:
    """Remove the uploaded cover of a track. False if there is none, or no such track. Raises StorageUnusable."""
    path = storage.cover(track_id)
    if not is_file(path):
        return False
    with storage_errors(), _Change(storage, track_id) as change, tracks.changed(track_id) as track:
        if track is None or not is_file(path):
            return False
        change.remove()
    storage.remove_empty("track", track_id)
    return True


def version_of(cover: Path) -> str | None:
    """A text that changes whenever this file is replaced; None if it is gone."""
    try:
        status = cover.lstat()
    except OSError:
        return None
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


class _Change:
    """A change of the cover of a track. Its transaction is inside the block; if it fails, the cover is as before.

    Until the end, the old cover has a second name. It is in a new folder, so housekeeping removes it after an hour if
    this process is killed. One thread at a time changes covers: transactions with one commit also fail together.
    """

    _one = threading.Lock()

    def __init__(self, storage: Storage, track_id: str) -> None:
        self.storage, self.track_id = storage, track_id
        self.path, self.old = storage.cover(track_id), storage.part() / COVER_NAME
        self.version: str | None = None
        self.is_made = False

    def publish(self, part: Path) -> None:
        """Put a file in the place of the cover, if there is one. Raises OSError."""
        self._keep_old(version_of(part))
        publish_file(part, self.path)

    def remove(self) -> None:
        """Remove the cover. Raises OSError."""
        self._keep_old(None)
        self.path.unlink()
        sync(self.path.parent)

    def __enter__(self) -> Self:
        self._one.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is not None and self.is_made and version_of(self.path) == self.version:
                self._undo()
        finally:
            remove_tree(self.old.parent)
            self._one.release()

    def _keep_old(self, version: str | None) -> None:
        """Give the old cover its second name. version: of the new cover."""
        self.old.parent.mkdir()
        if is_file(self.path):
            link_or_copy(self.path, self.old)
        self.version, self.is_made = version, True

    def _undo(self) -> None:
        if is_file(self.old):
            publish_file(self.old, self.path)
        else:
            self.storage.remove([self.path])
            self.storage.remove_empty("track", self.track_id)


def _require_picture(path: Path) -> None:
    with path.open("rb") as file:
        picture = read_header(file)
    if picture is None:
        raise Malformed("The body is no PNG and no JPEG: send one of these.")
    if max(picture.width, picture.height) > MOST_PIXELS:
        raise Malformed(
            f"The picture has {picture.width} × {picture.height} pixels: at most {MOST_PIXELS} a side are taken."
        )
