"""Covers: a picture of one colour for each job, as PNG, so that players can tell albums from one another."""

import colorsys
import struct
import zlib

from flask import Response

from models import Track

DEFAULT, SMALLEST, LARGEST = 300, 16, 1000  # pixels of a side
ONE_BIT, PALETTE = 1, 3  # of a pixel; the kind of colours: each pixel is a place in the palette


def cover(track: Track, size: int) -> Response:
    """The cover of a track. size: the pixels of a side; 0 for any."""
    side = min(max(size or DEFAULT, SMALLEST), LARGEST)
    hue = zlib.crc32(str(track.__data__["job"]).encode()) / 2**32
    colour = bytes(round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.4, 0.5))
    picture = Response(png(side, colour), content_type="image/png")
    picture.headers["Cache-Control"] = "private, max-age=3600"
    return picture


def png(side: int, colour: bytes) -> bytes:
    """A square PNG of one colour (red, green, blue)."""
    head = struct.pack(">IIBBBBB", side, side, ONE_BIT, PALETTE, 0, 0, 0)
    rows = bytes(side * (1 + (side + 7) // 8))
    chunks = ((b"IHDR", head), (b"PLTE", colour), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join([_chunk(*chunk) for chunk in chunks])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
