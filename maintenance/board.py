"""A board in memory that the processes of one service share: each writes its own place, and all read every place.

The parent makes the board before it starts the web processes, which inherit it. A process that is killed leaves its
place as it was, so its successor can go on counting from there.
"""

import json
import mmap
import struct
import zlib
from typing import Any

HALF = 512 * 1024  # bytes; only the pages that are used need memory
TRIES = 1000  # of a reader: while it reads one half, the writer may have come round to it again
HEAD = struct.Struct("<QII")  # the number of the version, the length and the CRC-32 of the text


class Board:
    """The places of several processes. A place has two halves: one is read while the other is being written."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._memory = mmap.mmap(-1, places * 2 * HALF)

    def write(self, place: int, value: Any) -> None:
        """Write the value of this process as JSON. Only one process may write a place. A value too long is left out."""
        text = json.dumps(value, separators=(",", ":")).encode()
        if len(text) > HALF - HEAD.size:
            return
        version = max(self._versions(place)) + 1
        start = self._start(place, version)
        self._memory[start : start + HEAD.size] = bytes(HEAD.size)  # a reader must not take the old text
        self._memory[start + HEAD.size : start + HEAD.size + len(text)] = text
        self._memory[start : start + HEAD.size] = HEAD.pack(version, len(text), zlib.crc32(text))

    def read(self, place: int) -> Any:
        """The newest value of a place; None if there is none."""
        for _ in range(TRIES):
            versions = sorted(filter(None, self._versions(place)), reverse=True)
            texts = (self._text(place, version) for version in versions)
            text = next((text for text in texts if text is not None), None)
            if text is not None:
                return json.loads(text)
            if not versions:
                return None
        return None

    def _versions(self, place: int) -> list[int]:
        return [HEAD.unpack_from(self._memory, self._start(place, half))[0] for half in (0, 1)]

    def _text(self, place: int, version: int) -> bytes | None:
        """The text of a version; None if it is not whole, because it is being written."""
        start = self._start(place, version)
        current, length, checksum = HEAD.unpack_from(self._memory, start)
        text = self._memory[start + HEAD.size : start + HEAD.size + min(length, HALF - HEAD.size)]
        return text if current == version and zlib.crc32(text) == checksum else None

    def _start(self, place: int, version: int) -> int:
        return (2 * place + version % 2) * HALF
