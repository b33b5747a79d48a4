"""Reads streams of Server-Sent Events in tests: their blocks, their events, and streams over a socket."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import Any

from models import Event

Block = dict[str, Any]


def blocks(chunks: Iterator[bytes]) -> Iterator[Block]:
    """The blocks of a stream: the fields of each, its data parsed as JSON; {} for a comment."""
    left = b""
    for chunk in chunks:
        *whole, left = (left + chunk).split(b"\n\n")
        for text in whole:
            fields = dict(line.split(": ", 1) for line in text.decode().split("\n") if not line.startswith(":"))
            yield {**fields, **({"data": json.loads(fields["data"])} if "data" in fields else {})}


def events_of(stream: Iterator[Block]) -> Iterator[Block]:
    """The blocks of a stream that are events."""
    return (block for block in stream if "event" in block)


def take(stream: Iterator[Block], count: int) -> list[Block]:
    """The next so many events."""
    events = events_of(stream)
    return [next(events) for _ in range(count)]


def ids(events: list[Block]) -> list[int]:
    """The ids of these events."""
    return [int(event["id"]) for event in events]


def all_ids() -> list[int]:
    """The ids of all events in the database, in order."""
    return [event.event_id for event in Event.select().order_by(Event.event_id)]


class Listener:
    """A stream over a real socket."""

    def __init__(self, port: int, path: str = "/api/events?since=0", **headers: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self.connection.request("GET", path, headers=sent)
            self.answer = self.connection.getresponse()
        except (OSError, HTTPException):  # the server was killed: nobody else can close the socket
            self.connection.close()
            raise

    def __iter__(self) -> Iterator[Block]:
        """Its blocks, until it ends."""
        return blocks(iter(lambda: self.answer.read1(65536), b""))

    def close(self) -> None:
        """Close the connection without a word."""
        self.answer.close()
        self.connection.close()
