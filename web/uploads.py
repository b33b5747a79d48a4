"""Request bodies that are files: written to disk, or moved where the server has written them already."""

from contextlib import suppress
from pathlib import Path

from flask import request
from werkzeug.exceptions import ClientDisconnected

from errors import LengthRequired, Malformed, TooLarge
from files.spooled import SPOOLED, SpooledBody

BLOCK = 65_536


class Upload:
    """The body of the current request, not read yet."""

    def save(self, part: Path, limit: int) -> None:
        """Write the body to a new file of at most limit bytes.

        Raises LengthRequired, TooLarge, OSError, and Malformed if only a part of it arrives.
        """
        length = request.content_length or 0
        if "Transfer-Encoding" in request.headers:
            raise LengthRequired("Send the file whole, with a Content-Length.")
        if length > limit:
            raise TooLarge(f"The file has {length} bytes; {limit} are accepted (MAX_UPLOAD_MB).")
        spooled = request.environ.get(SPOOLED)
        written = self._write(part) if spooled is None else _move(spooled, part)
        if written != length:
            raise Malformed(f"The body ended after {written} of {length} bytes: send it again.")

    def _write(self, part: Path) -> int:
        """The number of bytes that arrived. A client that disconnects ends the body."""
        with part.open("xb") as file, suppress(ClientDisconnected):
            while block := request.stream.read(BLOCK):
                file.write(block)
        return part.stat().st_size


def _move(spooled: SpooledBody, part: Path) -> int:
    """Give the file that the server has written its new path. The number of its bytes."""
    spooled.move_to(part)
    return spooled.size
