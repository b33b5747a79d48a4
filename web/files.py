"""Files as answers: streamed from disk, a Range at a time."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from flask import Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_range_header

from storage import BLOCK, Storage

TAIL_BYTES = 1024 * 1024


def log(storage: Storage, job_id: str, tail: int | None) -> Response:
    """The log of a job's generator as text, empty before it has begun; with tail only so many last lines."""
    file = storage.open(storage.log(job_id))
    if file is None:
        return Response(b"", content_type="text/plain; charset=utf-8")
    size = os.fstat(file.fileno()).st_size
    if tail is not None:
        with file:
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines(keepends=True)
        return Response(b"".join(lines[-tail:]), content_type="text/plain; charset=utf-8")
    return ranged(file, size, "text/plain; charset=utf-8")


def ranged(file: BinaryIO, size: int, content_type: str) -> Response:
    """The first size bytes of an open file, or the one Range of them that is asked for (206, 416)."""
    answer = Response(blocks(file, size), content_type=content_type)
    answer.content_length = size
    answer.call_on_close(file.close)
    asked = parse_range_header(request.headers.get("Range"))
    single = asked is not None and asked.units == "bytes" and len(asked.ranges) == 1
    # RFC 9110: a Range that is malformed or of several parts may be ignored; werkzeug would answer 416.
    try:
        answer.make_conditional(request, accept_ranges=single, complete_length=size)
    except HTTPException:
        answer.close()
        raise
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes of a file, a block at a time: a file that grows meanwhile does not outgrow its Content-Length."""
    with file:
        while size > 0 and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            yield block
