"""Files as answers: streamed from disk, a Range at a time, under a name to save them by."""

import os
import re
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_range_header

from errors import Busy, NotFound
from files.storage import Storage
from web.current import services

TAIL_BYTES = 1024 * 1024
BLOCK = 64 * 1024  # the server keeps several of a slow reader in memory
SMALL = 1024 * 1024
TEXT = "text/plain; charset=utf-8"
TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff/\\:*?"<>|]+')


def log(storage: Storage, job_id: str, tail: int | None) -> Response:
    """The log of a job's generator as text, empty before it has begun; with tail only so many last lines."""
    file = storage.open(storage.log(job_id))
    if file is None:
        return Response(b"", content_type=TEXT)
    if tail is None:
        return ranged(Transfer(file), TEXT)
    with file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        lines = file.read(TAIL_BYTES).splitlines(keepends=True)
    return Response(b"".join(lines[-tail:]), content_type=TEXT)


def sound(storage: Storage, path: Path, kind: str, title: str) -> Response:
    """A WAV or MP3 file with its ETag, to play or to save as the title. Raises NotFound when it is gone meanwhile."""
    file = storage.open(path)
    if file is None:
        raise NotFound("The file is gone.")
    transfer = Transfer(file)
    named = {"Content-Disposition": disposition(title, kind), "ETag": transfer.etag, "Cache-Control": "no-cache"}
    return ranged(transfer, TYPES[kind], named)


def ranged(transfer: "Transfer", content_type: str, headers: dict[str, str] | None = None) -> Response:
    """The file, or the one Range of it that is asked for (206, 416), or 304 when the client has it."""
    answer = Response(transfer, content_type=content_type, headers=headers)
    answer.content_length = transfer.size
    asked = single_range(transfer.size)
    environment = {**request.environ, "HTTP_RANGE": asked or ""}
    try:
        answer.make_conditional(environment, accept_ranges=asked is not None, complete_length=transfer.size)
    except HTTPException:
        answer.close()
        raise
    if answer.status_code == 304:
        transfer.close()
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def single_range(size: int) -> str | None:
    """The Range that is asked for; None for none, and for a malformed one or several, which RFC 9110 lets us ignore.

    werkzeug would answer 416 to those, and to the last bytes of a file that has fewer.
    """
    asked = parse_range_header(request.headers.get("Range"))
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    start, stop = asked.ranges[0]
    if start is not None and start < 0:
        start, stop = max(0, size + start), None
    return f"bytes={start}-{stop - 1 if stop is not None else ''}"


def disposition(title: str, kind: str) -> str:
    """Content-Disposition for a title in any script; what no file system or header takes becomes a space."""
    name = " ".join(UNSAFE.sub(" ", title).split()).strip(" .")[:100] or "track"
    plain = re.sub(r"[^ -~]+|['%;]", "_", name)
    return f"inline; filename=\"{plain}.{kind}\"; filename*=UTF-8''{quote(name, safe='')}.{kind}"


class Transfer:
    """The bytes a file has when it is opened, a block at a time, from wherever seek() is told.

    One of a limited number at a time, until it is closed or forgotten: a large one may last. Raises Busy.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, about = file, os.fstat(file.fileno())
        self.size = self._left = about.st_size
        self.etag = f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
        self._counts, self._places = self.size > SMALL, services().limits.transfers
        if self._counts and not self._places.acquire(blocking=False):
            self._counts = False
            file.close()
            raise Busy("Too many files are being sent just now: ask again in a moment.")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        block = self.file.read(min(BLOCK, self._left)) if self._left and not self.file.closed else b""
        self._left -= len(block)
        if not block:
            self.close()
            raise StopIteration
        return block

    def seekable(self) -> bool:
        """True: a Range begins at once, wherever it begins."""
        return True

    def seek(self, place: int) -> None:
        """Go on from there."""
        self.file.seek(place)
        self._left = self.size - place

    def tell(self) -> int:
        """Where it is."""
        return self.file.tell()

    def close(self) -> None:
        """Make room for another."""
        self.file.close()
        if self._counts:
            self._counts = False
            self._places.release()

    __del__ = close
