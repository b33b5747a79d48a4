"""Server-Sent Events: sends every committed change of the ledger to its clients.

A stream is a thread of the server that waits most of the time. It notices only when it writes that its client has
closed the connection. So it writes a comment every two seconds. Because of these comments, proxies keep the connection
open.
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
    """The bytes of one stream: the events after a point, or from now on; of all jobs, or of one job."""

    def __init__(self, feed: Feed, point: int | None, job_id: str | None) -> None:
        self.feed, self.point, self.job_id = feed, point, job_id

    def __iter__(self) -> Iterator[bytes]:
        """The blocks to send. Ends after 15 minutes, when the process stops, and when the database goes away.

        After that, the client connects again and resumes after its last event.
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
        """The first lines of a stream: an id without an event. A client that saw no event resumes from this id."""
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
            yield self._resync()  # the point is from another database: the file was replaced
        give_back_connection()

    def _next(self, seconds: float) -> bytes:
        """Wait these seconds for events. Returns them encoded, or b"" if there are none."""
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
        """Tell the client to read the records again, because events that it has not seen were deleted."""
        self.point = self.feed.position
        return b'id: %d\nevent: resync\ndata: {"event_id":%d}\n\n' % (self.point, self.point)


@routes.route("GET", "/events", answers={200: schemas.ServerSentEvent}, headers=["Last-Event-ID"])
def stream_events(query: schemas.EventQuery) -> Response:
    """Every committed change, from now on or after the event id in Last-Event-ID or `since`."""
    return _stream(point(query.since), None)


@routes.route(
    "GET",
    "/jobs/<id:job_id>/events",
    answers={200: schemas.ServerSentEvent},
    problems=[404],
    headers=["Last-Event-ID"],
)
def stream_job_events(job_id: str, query: schemas.EventQuery) -> Response:
    """The changes of one job, its tracks and their loops. A new stream begins with the last event of the job."""
    require(jobs.get_by_id(job_id))
    return _stream(point(query.since), job_id)


def point(since: int | None) -> int | None:
    """The last event id that the client has seen: from Last-Event-ID (browsers send it), else from `since`."""
    seen = request.headers.get("Last-Event-ID", "")
    if not seen:
        return since
    return int(seen) if re.fullmatch("[0-9]{1,18}", seen) else 10**18  # an unknown id leads to resync


def sse(message: Message) -> bytes:
    """Encode an event as a Server-Sent Event."""
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
