"""The body of a request that was written to a file before the app sees the request."""

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

SPOOLED = "ledger.spooled"  # the key of a SpooledBody in an environ of WSGI


class SpooledBody:
    """A body in a new file, which can be read, or moved to another path.

    The file is made at the first write. If writing fails, error has the reason, and later writes do nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.error: OSError | None = None
        self.file: BinaryIO | None = None

    def write(self, data: bytes | bytearray) -> None:
        """Append these bytes."""
        if self.error is not None:
            return
        try:
            if self.file is None:
                self.file = self.path.open("x+b")
            self.size += self.file.write(data)
            self.file.flush()
        except OSError as error:
            self.error = error

    def rewind(self) -> BinaryIO:
        """The file, at its first byte."""
        if self.file is None:
            return BytesIO()
        self.file.seek(0)
        return self.file

    def move_to(self, path: Path) -> None:
        """Give the file another path, so that close() does not delete it. Raises OSError."""
        if self.error is not None:
            raise self.error
        os.replace(self.path, path)

    def close(self) -> None:
        """Close the file, and delete it unless it was moved."""
        if self.file is not None:
            with suppress(OSError):  # the disk may be full; the file is deleted anyway
                self.file.close()
            self.file = None
        self.path.unlink(missing_ok=True)
