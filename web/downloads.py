"""Sends files as responses: whole or a Range, block by block, with a file name for saving."""

import os
import re
from typing import BinaryIO
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_range_header

from files.storage import Storage
from files.transfer import Transfer
from web.log_files import fold_log, search_log
from web.log_lines import as_text

TAIL_BYTES = 1024 * 1024
TEXT = "text/plain; charset=utf-8"
TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac"}
LAST_NONE = re.compile(r"\s*bytes\s*=\s*-0+\s*", re.IGNORECASE)
LONGEST_NAME = 200  # bytes; file systems take 255
RESERVED = re.compile("CON|PRN|AUX|NUL|CONIN[$]|CONOUT[$]|(COM|LPT)[0-9¹²³]", re.IGNORECASE)
# Control characters, invisible ones that change the direction of text or have no width, and what Windows refuses.
INVISIBLE = r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
UNSAFE = re.compile(rf'[\x00-\x1f\x7f-\x9f{INVISIBLE}\ud800-\udfff/\\:*?"<>|]+')


def log(storage: Storage, job_id: str, tail: int | None) -> Response:
    """A response with the log of a job's generator: the whole text or its last lines.

    Empty before the generator starts.
    """
    file = storage.open(storage.log(job_id))
    if file is None:
        return Response(b"", content_type=TEXT)
    if tail is None:
        return ranged(Transfer(file), TEXT)
    with file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        lines = file.read(TAIL_BYTES).splitlines(keepends=True)
    return Response(b"".join(lines[-tail:]), content_type=TEXT)


def log_lines(storage: Storage, job_id: str, words: list[str], is_folded: bool, tail: int | None) -> Response:
    """A response with the lines of a log that have these words, folded or as they were printed; the last ones."""
    file = storage.open(storage.log(job_id))
    if file is None:
        return Response(b"", content_type=TEXT)
    with file:
        log = search_log(file, words, is_folded) if words else fold_log(file)
    return Response(as_text([*log.errors, *log.lines][-tail if tail else 0 :]), content_type=TEXT)


def sound(file: BinaryIO, kind: str, title: str, how: str = "inline") -> Response:
    """A response with an open sound file, its ETag and its title as file name. Closes the file after sending.

    kind: wav, mp3 or flac. how: as in disposition().
    """
    transfer = Transfer(file)
    headers = {"Content-Disposition": disposition(title, kind, how), "ETag": transfer.etag, "Cache-Control": "no-cache"}
    return ranged(transfer, TYPES[kind], headers)


def picture(file: BinaryIO, content_type: str) -> Response:
    """A response with an open file with a picture, and its ETag. Closes the file after sending."""
    transfer = Transfer(file)
    return ranged(transfer, content_type, {"ETag": transfer.etag, "Cache-Control": "no-cache"})


def ranged(transfer: Transfer, content_type: str, headers: dict[str, str] | None = None) -> Response:
    """A response with the whole file or the requested Range (206, 416), or 304 if the client has this version."""
    answer = Response(transfer, content_type=content_type, headers=headers, direct_passthrough=True)
    answer.content_length = transfer.size
    range_header = single_range(request.headers.get("Range", ""), transfer.size)
    environment = {**request.environ, "HTTP_RANGE": range_header or ""}
    try:
        answer.make_conditional(environment, accept_ranges=range_header is not None, complete_length=transfer.size)
    except HTTPException:
        answer.close()
        raise
    if answer.status_code == 206:
        transfer.limit(answer.content_range.start or 0, answer.content_range.stop or 0)
        answer.response = transfer
    elif answer.status_code == 304:
        transfer.close()
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def single_range(header: str, size: int) -> str | None:
    """A Range header in the form that werkzeug answers correctly; None if the header must be ignored.

    RFC 9110 allows a server to ignore a malformed Range and a list of ranges; werkzeug answers these with 416. If a
    client requests more last bytes than the file has, werkzeug also answers 416, but RFC 9110 requires the whole file.
    For the last 0 bytes, RFC 9110 requires 416, but werkzeug ignores the header.
    """
    if LAST_NONE.fullmatch(header):
        return f"bytes={size}-"
    parsed = parse_range_header(header)
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return None
    start, stop = parsed.ranges[0]
    if start is not None and start < 0:
        start, stop = max(0, size + start), None
    return f"bytes={start}-{stop - 1 if stop is not None else ''}"


def file_name(title: str) -> str:
    """A file name without its ending for a title in any script, at most 100 characters and 200 bytes long.

    Characters that file systems or headers refuse become spaces. A name that Windows reserves gets an underscore.
    """
    name = " ".join(UNSAFE.sub(" ", title).split()).strip(" .")[:100]
    name = name.encode()[:LONGEST_NAME].decode(errors="ignore").rstrip(" .") or "track"
    return f"_{name}" if RESERVED.fullmatch(name.partition(".")[0].rstrip()) else name


def disposition(title: str, kind: str, how: str = "inline") -> str:
    """The Content-Disposition for a title in any script. how: inline, or attachment for what no browser shows."""
    name = file_name(title)
    plain = re.sub(r"[^ -~]+|['%;]", "_", name)
    return f"{how}; filename=\"{plain}.{kind}\"; filename*=UTF-8''{quote(name, safe='')}.{kind}"
