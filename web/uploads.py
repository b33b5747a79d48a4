"""A body that is a file: streamed to disk, never held in memory."""

import threading
from pathlib import Path

from flask import request
from werkzeug.exceptions import ClientDisconnected

from errors import Busy, LengthRequired, Malformed, StorageFull, TooLarge

BLOCK = 65_536
UPLOADS = threading.BoundedSemaphore(8)  # of the server's threads: a slow sender holds one as long as it likes


class Upload:
    """The request's body, not read yet."""

    def save(self, part: Path, limit: int) -> None:
        """Write it to a new file. Raises LengthRequired, TooLarge, Malformed for a part of it, Busy, StorageFull."""
        length = request.content_length
        if length is None or "Transfer-Encoding" in request.headers:
            raise LengthRequired("Send the file whole, with a Content-Length.")
        if length > limit:
            raise TooLarge(f"The file has {length} bytes; {limit} are accepted (MAX_UPLOAD_MB).")
        if not UPLOADS.acquire(blocking=False):
            raise Busy("Too many files are being uploaded just now: send this again in a moment.")
        try:
            self._write(part)
        except ClientDisconnected:
            raise Malformed(f"The body ended before all of its {length} bytes had come: send it again.") from None
        except OSError:
            raise StorageFull("The storage folder takes no more: free some space, then send this again.") from None
        finally:
            UPLOADS.release()

    def _write(self, part: Path) -> None:
        with part.open("xb") as file:
            while block := request.stream.read(BLOCK):
                file.write(block)
