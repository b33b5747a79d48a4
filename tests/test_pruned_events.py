"""Streams that go on after a point whose events are pruned: the client must read the records again."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from flask.testing import FlaskClient

from database import database
from maintenance import housekeeping
from models import Event, Job
from repos import JobRepository

STREAMS = ["/api/events?since=0", "/api/jobs/job-1/events?since=0"]
EVERYTHING = -1.0  # days: events of the future too


def first_event(client: FlaskClient, path: str) -> str:
    """The name of the first event of a stream."""
    with closing(client.get(path)) as answer:
        return next(line for line in lines(answer.iter_encoded()) if line.startswith("event: "))


def lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """The lines of a stream."""
    for chunk in chunks:
        yield from chunk.decode().splitlines()


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_since_0_begins_with_resync_when_every_event_is_pruned(
    path: str, client: FlaskClient, job: Job
) -> None:
    assert housekeeping.prune(Event, EVERYTHING) == 1
    assert first_event(client, path) == "event: resync"


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_since_0_begins_with_resync_when_a_first_part_is_pruned(
    path: str, client: FlaskClient, job: Job
) -> None:
    housekeeping.prune(Event, EVERYTHING)
    JobRepository().update("job-1", progress=7)
    assert first_event(client, path) == "event: resync"


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_since_0_begins_with_the_first_event_when_none_is_pruned(
    path: str, client: FlaskClient, job: Job
) -> None:
    assert first_event(client, path) == "event: job.created"


@pytest.mark.parametrize("path", ["/api/events?since=0", "/api/events"])
def test_a_stream_says_resync_when_events_are_pruned_before_the_feed_has_read_them(
    path: str, client: FlaskClient
) -> None:
    with closing(client.get("/api/events")) as answer:
        blocks = answer.iter_encoded()
        next(blocks), next(blocks)  # the feed stands at the present, which is before the first event
        with database.atomic():
            JobRepository().create(job_id="job-1", prompt="rain")
            Event.delete().execute()
        if path == "/api/events":
            assert "event: resync" in lines(blocks)
        else:
            assert first_event(client, path) == "event: resync"
