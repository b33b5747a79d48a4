"""Pictures that people upload: what the first bytes of a file say about it. Nothing decodes the picture itself."""

from typing import BinaryIO, NamedTuple

PNG, JPEG = "image/png", "image/jpeg"
STARTS = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": JPEG}
LONGEST_START = max(map(len, STARTS))
PNG_HEADER = b"\0\0\0\rIHDR"  # the length and the name of the first chunk
SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of JPEG segments with the size of the picture
ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
END_OF_HEADER = (0xD9, 0xDA)
MOST_MARKERS = 1000  # with the bytes between segments: a picture of 10 MB has about 160


class Picture(NamedTuple):
    """image/png or image/jpeg, and width and height in pixels."""

    kind: str
    width: int
    height: int


def type_of(picture: bytes) -> str | None:
    """image/png or image/jpeg, by the first bytes; None for any other content."""
    return next((kind for start, kind in STARTS.items() if picture.startswith(start)), None)


def read_header(file: BinaryIO) -> Picture | None:
    """What the header of a PNG or a JPEG says; None for any other file, and for a header that is damaged."""
    start = file.read(LONGEST_START)
    kind = type_of(start)
    size = _png_size(file) if kind == PNG else _jpeg_size(file) if kind == JPEG else None
    return Picture(kind, *size) if kind and size and min(size) > 0 else None


def _png_size(file: BinaryIO) -> tuple[int, int] | None:
    header = file.read(len(PNG_HEADER) + 8)
    if len(header) < len(PNG_HEADER) + 8 or not header.startswith(PNG_HEADER):
        return None
    return int.from_bytes(header[-8:-4]), int.from_bytes(header[-4:])


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """The size in the first segment that has one, before the data of the picture. None if it has too many before."""
    file.seek(2)
    for _ in range(MOST_MARKERS):
        mark, code = file.read(1), file.read(1)
        if mark != b"\xff" or not code or code[0] in END_OF_HEADER:
            return None
        if code == b"\xff":  # a byte between two segments
            file.seek(-1, 1)
        elif code[0] in SIZES:
            frame = file.read(7)  # length, bits of a sample, height, width
            return (int.from_bytes(frame[5:]), int.from_bytes(frame[3:5])) if len(frame) == 7 else None
        elif code[0] not in ALONE:
            length = int.from_bytes(file.read(2))
            if length < 2:
                return None
            file.seek(length - 2, 1)
    return None
