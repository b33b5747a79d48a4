"""Pictures that people upload: what the first bytes of a file say about it. Nothing decodes the picture itself."""

PNG, JPEG = "image/png", "image/jpeg"
STARTS = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": JPEG}


def type_of(picture: bytes) -> str | None:
    """image/png or image/jpeg, by the first bytes; None for any other content."""
    return next((kind for start, kind in STARTS.items() if picture.startswith(start)), None)
