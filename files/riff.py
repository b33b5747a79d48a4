"""The chunks of a WAV: whether the lengths in the file are right, and more chunks at its end."""

import os
from collections.abc import Mapping
from pathlib import Path

HEADER_BYTES = 8  # the name and the length of a chunk
FORM_BYTES = 4


def is_riff(path: Path) -> bool:
    """True for a plain WAV, whose chunks have lengths of 32 bits."""
    with path.open("rb") as file:
        return file.read(4) == b"RIFF"


def is_exact(path: Path) -> bool:
    """True if the chunks of a plain WAV fill the file exactly, so that another chunk can follow them.

    The lengths of a WAV that was written into a pipe or was not written to its end are wrong. A decoder then takes
    everything up to the end of the file for sound.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if _length(file.read(HEADER_BYTES)) != size - HEADER_BYTES:
            return False
        place = HEADER_BYTES + FORM_BYTES
        while place + HEADER_BYTES <= size:
            file.seek(place)
            length = _length(file.read(HEADER_BYTES))
            place = file.seek(length + length % 2, os.SEEK_CUR)
    return place == size


def add_chunks(path: Path, chunks: Mapping[bytes, bytes]) -> None:
    """Write chunks, content by name of four bytes, at the end of a plain WAV whose lengths are right.

    Changes the file in place: for a file that nobody reads yet.
    """
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"\0" * (file.tell() % 2))
        for name, content in chunks.items():
            file.write(name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2))
        length = file.tell() - HEADER_BYTES
        file.seek(4)
        file.write(length.to_bytes(4, "little"))


def _length(header: bytes) -> int:
    return int.from_bytes(header[4:HEADER_BYTES], "little")
