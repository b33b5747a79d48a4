"""The requests of the load. Each operation yields the requests of one connection, one after another."""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

Requests = Generator[bytes, bytes, None]  # yields a request, and receives the body of its response
Numbers = Iterator[int]  # shared by all connections of one run, so that every request is a new one
Values = dict[str, str]  # values from the running service: an ETag, cursors

SEEN = 1000  # the load reads and changes the jobs load-1 to load-1000
PART_BYTES = 64 * 1024
WAV_BYTES = 20_000_000
LISTS = {
    "list of 50": "/api/jobs?limit=50",
    "list with tracks and loops": "/api/jobs?limit=50&expand=tracks.loops",
    "page 1": "/api/jobs?limit=20",
    "page 1,000": "/api/jobs?limit=20&cursor={cursor}",
    "words": "/api/jobs?limit=50&q=electronic+guitar",
    "metadata filter": "/api/jobs?limit=50&metadata.genre=genre-3",
}


@dataclass(frozen=True)
class Operation:
    """One kind of load. status: what the server must answer; requests: how many of them are one operation."""

    make: Callable[[Numbers, Values], Requests]
    status: bytes
    requests: int = 1


def request(method: str, path: str, body: str = "", *headers: str) -> bytes:
    """The bytes of an HTTP request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode()


def get_job(numbers: Numbers, values: Values) -> Requests:
    """Read one job after another."""
    template = request("GET", "/api/jobs/load-%d")
    for number in numbers:
        yield template % (number % SEEN + 1)


def get_same_job(numbers: Numbers, values: Values) -> Requests:
    """Read a job whose version the client has."""
    one = request("GET", "/api/jobs/load-1", "", f"If-None-Match: {values['etag']}")
    for _ in numbers:
        yield one


def post_job(numbers: Numbers, values: Values) -> Requests:
    """Create jobs, each with a prompt of its own."""
    templates = [request("POST", "/api/jobs", new_job(kind)).replace(b"0000000", b"%07d") for kind in range(10)]
    for number in numbers:
        yield templates[number % 10] % number


def new_job(kind: int) -> str:
    """The body of a new job; in its prompt is a number of seven digits."""
    metadata = {"genre": f"genre-{kind}", "mood": "calm", "language": "en"}
    return json.dumps({"prompt": "folk, electronic guitar, soft piano, take 0000000", "metadata": metadata})


def patch_progress(numbers: Numbers, values: Values) -> Requests:
    """Change the progress of one job after another."""
    templates = [request("PATCH", "/api/jobs/load-%d", json.dumps({"progress": part})) for part in range(100)]
    for number in numbers:
        yield templates[number * 7 % 100] % (number % SEEN + 1)


def delete_job(numbers: Numbers, values: Values) -> Requests:
    """Delete jobs that have a track with a loop."""
    template = request("DELETE", "/api/jobs/fill-%d")
    for number in numbers:
        yield template % number


def claim_and_complete(numbers: Numbers, values: Values) -> Requests:
    """Claim a job, and complete it with the token of its lease."""
    claim, body = request("POST", "/api/jobs/claim", '{"worker": "bench"}'), '{"status": "completed"}'
    for _ in numbers:
        job = json.loads((yield claim))
        yield request("PATCH", job["urls"]["self"], body, f"Lease-Token: {job['lease_token']}")


def read_part(numbers: Numbers, values: Values) -> Requests:
    """Read 64 KB of a track: another part each time."""
    template = request("GET", "/api/tracks/song/audio", "", "Range: bytes=%d-%d")
    for number in numbers:
        start = number * PART_BYTES % (WAV_BYTES - PART_BYTES)
        yield template % (start, start + PART_BYTES - 1)


def read_path(path: str) -> Callable[[Numbers, Values], Requests]:
    """An operation that always reads the same address."""

    def make(numbers: Numbers, values: Values) -> Requests:
        one = request("GET", path.format(**values))
        return (one for _ in numbers)  # type: ignore[return-value]

    return make


OPERATIONS = {
    "healthz": Operation(read_path("/healthz"), b"200"),
    "GET job": Operation(get_job, b"200"),
    "304": Operation(get_same_job, b"304"),
    **{name: Operation(read_path(path), b"200") for name, path in LISTS.items()},
    "64 KB of a track": Operation(read_part, b"206"),
    "POST job": Operation(post_job, b"201"),
    "PATCH progress": Operation(patch_progress, b"200"),
    "claim and complete": Operation(claim_and_complete, b"200", 2),
    "DELETE job": Operation(delete_job, b"204"),
}
