"""Settling: once it is decided whether a record names an upload, the files that this upload made useless go."""

import re
from collections.abc import Collection
from pathlib import Path

from files.deletion import named
from files.pending import decide, pending_uploads, upload_of
from files.storage import Storage

UPLOAD = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.](wav|mp3)")


def settle(storage: Storage, note: Path, replaced: Collection[Path] = ()) -> None:
    """Remove an upload if no record names it. Otherwise remove the track's earlier uploads, and what it replaced.

    Uploads that are pending stay, as do all other files. The order matters: an upload that is not pending any more when
    we look is named by then, or never will be. The note goes last: if this process is killed, housekeeping finds it.
    """
    note = decide(note)
    upload = upload_of(storage, note)
    earlier = [path for path in storage.files("track", upload.parent.name) if _is_upload(path, upload.parent)]
    decided = {upload, *replaced, *earlier} - pending_uploads(storage).keys()
    kept = named(storage, decided)
    storage.remove((decided if upload in kept else {upload}) - kept)
    storage.remove_empty("track", upload.parent.name)
    note.unlink(missing_ok=True)


def _is_upload(path: Path, folder: Path) -> bool:
    return path.parent == folder and UPLOAD.fullmatch(path.name) is not None
