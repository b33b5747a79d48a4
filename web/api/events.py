"""Server-Sent Events: sends every committed change of the ledger to its clients.

A stream is a thread of the server that waits most of the time. It learns that its client has gone only by writing to
it, so it writes a comment every two seconds, which also keeps proxies from closing it.
"""

import re
import time
from collections.abc import Iterator

from flask import Response, request

from database import AWAY, give_back_connection
from errors import Busy, Pruned
from records.commits import newest
from records.events import Feed, Message, newest_event
from repos import JobRepository
from web import schemas
from web.answers import require
from web.current import services
from web.operations import Operations

routes = Operations("/api")
jobs = JobRepository()
BEAT_SECONDS = 2.0
STREAM_SECONDS = 15 * 60.0
BEAT = b":\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Stream:
    """The bytes of one stream, from a point on or from now on; of all jobs or of one."""

    def __init__(self, feed: Feed, point: int | None, job_id: str | None) -> None:
        self.feed, self.point, self.job_id = feed, point, job_id

    def __iter__(self) -> Iterator[bytes]:
        """Blocks to send as they come. Ends after a quarter of an hour, with the process, and with the database.

        The client comes back then, and goes on where it was.
        """
        ends = time.monotonic() + STREAM_SECONDS
        with self.feed.watched():
            yield b"retry: 1000\n\n"
            try:
                yield from self._until(ends)
            except AWAY:
                return
            finally:
                give_back_connection()

    def _until(self, ends: float) -> Iterator[bytes]:
        yield from self._opening(ends)
        written = time.monotonic()
        while time.monotonic() < ends and not self.feed.stopping.is_set():
            block = self._next(min(written + BEAT_SECONDS, ends) - time.monotonic())
            if block or time.monotonic() - written >= BEAT_SECONDS:
                yield block or BEAT
                written = time.monotonic()

    def _opening(self, ends: float) -> Iterator[bytes]:
        """Where the stream begins, once that is known: an id without an event, which is what to resume from."""
        while not self.feed.wait(-1, BEAT_SECONDS):
            if time.monotonic() > ends or self.feed.stopping.is_set():
                return
            yield BEAT
        position = self.feed.position
        if self.point is None:
            last = newest_event(self.job_id, position) if self.job_id else None
            self.point = position
            yield sse(last) if last else b"id: %d\n\n" % position
        elif self.point > position and self.point > max(newest()):
            yield self._resync()  # of another history: the database was replaced
        give_back_connection()

    def _next(self, seconds: float) -> bytes:
        """Wait so long for events. Returns them encoded, or b"" when there is none."""
        assert self.point is not None
        if not self.feed.wait(self.point, seconds):
            return b""
        try:
            messages, self.point = self.feed.read(self.point, self.job_id)
        except Pruned:
            return self._resync()
        finally:
            give_back_connection()
        return b"".join(map(sse, messages))

    def _resync(self) -> bytes:
        """Tell the client to read the records again, since events it has not seen are gone."""
        self.point = self.feed.position
        return b'id: %d\nevent: resync\ndata: {"event_id":%d}\n\n' % (self.point, self.point)


@routes.route("GET", "/events", answers={200: schemas.ServerSentEvent}, headers=["Last-Event-ID"])
def stream_events(query: schemas.EventQuery) -> Response:
    """Every change as it is committed, from now on or after Last-Event-ID or `since`."""
    return _stream(point(query.since), None)


@routes.route(
    "GET",
    "/jobs/<id:job_id>/events",
    answers={200: schemas.ServerSentEvent},
    problems=[404],
    headers=["Last-Event-ID"],
)
def stream_job_events(job_id: str, query: schemas.EventQuery) -> Response:
    """The same of one job, its tracks and their loops; begins with its last event when it is not resumed."""
    require(jobs.get_by_id(job_id))
    return _stream(point(query.since), job_id)


def point(since: int | None) -> int | None:
    """The event the client has seen last: Last-Event-ID, which a browser sends when it comes back, before `since`."""
    seen = request.headers.get("Last-Event-ID", "")
    if not seen:
        return since
    return int(seen) if re.fullmatch("[0-9]{1,18}", seen) else 10**18  # an id we never gave leads to resync


def sse(message: Message) -> bytes:
    """An event as a Server-Sent Event."""
    return f"id: {message.event_id}\nevent: {message.name}\ndata: {message.record}\n\n".encode()


def _stream(since: int | None, job_id: str | None) -> Response:
    if request.method == "HEAD":
        return Response(content_type="text/event-stream", headers=HEADERS)
    places = services().limits.streams
    if not places.acquire(blocking=False):
        raise Busy("As many streams are open as are allowed: SSE_LIMIT says how many. Come back in a moment.")
    stream = Stream(services().feed, since, job_id)
    answer = Response(iter(stream), content_type="text/event-stream", headers=HEADERS)
    answer.call_on_close(places.release)
    return answer
