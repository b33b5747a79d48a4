"""A body that is a file: streamed to disk, never held in memory."""

from contextlib import suppress
from pathlib import Path

from flask import request
from werkzeug.exceptions import ClientDisconnected

from errors import LengthRequired, Malformed, StorageFull, TooLarge

BLOCK = 65_536


class Upload:
    """The request's body, not read yet."""

    def save(self, part: Path, limit: int) -> None:
        """Write it to a new file. Raises LengthRequired, TooLarge, Malformed for a part of it, StorageFull."""
        length = request.content_length or 0
        if "Transfer-Encoding" in request.headers:
            raise LengthRequired("Send the file whole, with a Content-Length.")
        if length > limit:
            raise TooLarge(f"The file has {length} bytes; {limit} are accepted (MAX_UPLOAD_MB).")
        try:
            written = self._write(part)
        except OSError:
            raise StorageFull("The storage folder takes no more: free some space, then send this again.") from None
        if written != length:
            raise Malformed(f"The body ended after {written} of {length} bytes: send it again.")

    def _write(self, part: Path) -> int:
        """The bytes that came; a sender that hangs up looks like the end of the body."""
        with part.open("xb") as file, suppress(ClientDisconnected):
            while block := request.stream.read(BLOCK):
                file.write(block)
        return part.stat().st_size
