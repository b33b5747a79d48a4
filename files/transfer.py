"""An open file, or a part of it, that is the body of a response."""

import os
from typing import BinaryIO, Self

BLOCK = 128 * 1024  # bytes


class Transfer:
    """The bytes that a file has when it is opened, or a part of them.

    A server that supports this class sends it without a thread; any other server iterates over its blocks.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, status = file, os.fstat(file.fileno())
        self.size = self.left = status.st_size
        self.etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'

    def limit(self, start: int, stop: int) -> None:
        """Send only the bytes from start up to, but not including, stop."""
        self.file.seek(start)
        self.left = stop - start

    def read(self, size: int = BLOCK) -> bytes:
        """The next bytes. b"" at the end, and if the file has become shorter."""
        block = self.file.read(min(size, self.left)) if self.left and not self.file.closed else b""
        self.left -= len(block)
        return block

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        block = self.read()
        if not block:
            self.close()
            raise StopIteration
        return block

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    __del__ = close  # the body of an answer to HEAD is never sent
