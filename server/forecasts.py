"""Sends the forecast of the queue to the streams that asked for it: where jobs wait, and when they are done."""

import asyncio
from typing import TYPE_CHECKING, Any

from database import give_back_connection, to_json
from records.forecast import forecast
from records.pace import shown

if TYPE_CHECKING:
    from server.streams import Streams, StreamSender

EVERY_SECONDS = 2.0  # at most so often, and only if the ledger has changed
Events = dict[str | None, bytes]  # by the id of a job; None: the event about the whole queue


class Forecasts:
    """The forecasts for all streams: one is made for all of them."""

    def __init__(self, streams: "Streams", loop: asyncio.AbstractEventLoop) -> None:
        self._streams, self._loop = streams, loop
        self._seen, self._made_at, self._is_reading = -1, 0.0, False

    def beat(self) -> None:
        """Called once a second: make a forecast if there is news for a stream."""
        now, position = self._loop.time(), self._streams.position
        due = [sender for sender in self._senders() if sender.forecast is None or position != self._seen]
        if due and not self._is_reading and now - self._made_at >= EVERY_SECONDS:
            self._is_reading, self._seen, self._made_at = True, position, now
            self._streams.lane.submit(events, self._send)

    def _senders(self) -> list["StreamSender"]:
        return [sender for sender in self._streams.senders if sender.is_live and sender.stream.wants_forecast]

    def _send(self, made: Events | BaseException) -> None:
        self._is_reading = False
        if isinstance(made, BaseException):
            return  # the database does not answer, which the streams notice themselves
        for sender in self._senders():
            sender.send_forecast(made.get(sender.stream.job_id, b""))


def events() -> Events:
    """The forecast as Server-Sent Events without an id: what a client resumes from stays as it is."""
    try:
        expected = forecast()
    finally:
        give_back_connection()
    whole = {"waiting": expected.waiting, "running": len(expected.running), "done_in": shown(expected.all_done_in)}
    made: Events = {None: _event("queue.forecast", whole)}
    for job_id, done_in in expected.done_in.items():
        data = {"job_id": job_id, "position": expected.positions.get(job_id), "done_in": shown(done_in)}
        made[job_id] = _event("job.forecast", data)
    return made


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {to_json(data)}\n\n".encode()
