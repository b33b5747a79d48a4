"""Streams of events: where they begin, resume and end, and what they contain."""

import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from access.shares import Limit
from models import Event, Job, Loop
from records import events, streams
from repos import JobRepository
from tests.conftest import on_sqlite, wait_for
from tests.streams import all_ids, events_of, ids, take

jobs = JobRepository()


def test_an_event_is_sent_with_its_whole_record(loop: Loop, listen: Any) -> None:
    first, *_, last = take(listen("/api/events?since=0"), 3)
    assert (first["event"], last["event"]) == ("job.created", "loop.created")
    record = first["data"]
    assert record.pop("created_at").endswith("Z") and record.pop("event_id") == int(first["id"])
    assert record.pop("data") == {"status": "pending", "progress": 0, "message": None, "error": None}
    assert record == {"entity": "job", "entity_id": "job-1", "job_id": "job-1", "change": "created"}


def test_a_stream_begins_now_and_says_from_where_to_resume(job: Job, listen: Any) -> None:
    stream = listen()
    assert [next(stream), next(stream)] == [{"retry": "1000"}, {"id": str(max(all_ids()))}]
    jobs.update("job-1", progress=7)
    assert take(stream, 1)[0]["data"]["data"]["progress"] == 7


def test_a_stream_is_resumed_after_what_was_seen(job: Job, listen: Any) -> None:
    for progress in range(1, 5):
        jobs.update("job-1", progress=progress)
    seen = all_ids()
    assert ids(take(listen(f"/api/events?since={seen[1]}"), 3)) == seen[2:]
    assert ids(take(listen("/api/events?since=0", Last_Event_ID=str(seen[2])), 2)) == seen[3:]


def test_the_stream_of_a_job_has_events_of_the_job_its_tracks_and_loops_only(loop: Loop, listen: Any) -> None:
    jobs.create(job_id="other", prompt="drums")
    stream = listen("/api/jobs/job-1/events?since=0")
    jobs.update("other", progress=5)
    jobs.delete("job-1")
    names = [event["event"] for event in take(stream, 6)]
    assert names[:3] == ["job.created", "track.created", "loop.created"]
    assert sorted(names[3:]) == ["job.deleted", "loop.deleted", "track.deleted"]


def test_the_stream_of_a_job_begins_with_its_state(job: Job, listen: Any) -> None:
    jobs.update("job-1", status="exporting", progress=80)
    jobs.create(job_id="other", prompt="drums")
    [first] = take(listen("/api/jobs/job-1/events"), 1)
    assert (first["id"], first["data"]["data"]["progress"]) == (str(max(all_ids()) - 1), 80)


def test_the_stream_of_an_unknown_job_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/api/jobs/nobody/events")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@on_sqlite
@pytest.mark.parametrize("query", ["since=-1", "since=x", "since=", "since=9223372036854775808", "from=1"])
def test_a_bad_point_in_the_query_is_malformed(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/events?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid")


@on_sqlite
@pytest.mark.parametrize("seen", ["7", "99999999999999999999", "²", "null"])
def test_a_point_that_no_event_had_leads_to_a_resync(job: Job, listen: Any, seen: str) -> None:
    stream = listen(Last_Event_ID=seen)
    [resync] = take(stream, 1)
    assert (resync["event"], resync["data"]) == ("resync", {"event_id": max(all_ids())})
    jobs.update("job-1", progress=7)
    assert ids(take(stream, 1)) == [max(all_ids())]


def test_a_point_before_what_was_pruned_leads_to_a_resync(job: Job, listen: Any) -> None:
    jobs.update("job-1", progress=7)
    first, second = all_ids()
    Event.delete().where(Event.event_id == first).execute()
    assert take(listen(f"/api/events?since={first - 1}"), 1)[0]["event"] == "resync"
    assert ids(take(listen(f"/api/events?since={first}"), 1)) == [second]
    Event.delete().execute()
    stream = listen(f"/api/jobs/job-1/events?since={first}")
    assert (resync := take(stream, 1)[0])["event"] == "resync" and int(resync["id"]) == second
    jobs.update("job-1", progress=8)
    assert ids(take(stream, 1)) == [second + 1]


def test_a_slow_reader_gets_events_that_have_left_the_buffer(
    job: Job, listen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH", 3)
    monkeypatch.setattr(events, "MAX_BUFFERED_CHARACTERS", 600)
    everything, one = listen("/api/events?since=0"), listen("/api/jobs/job-1/events?since=0")
    next(everything), next(one)
    for number in range(10):
        jobs.create(job_id=f"other-{number}", prompt="drums")
        jobs.update("job-1", progress=number + 1)
    assert ids(take(everything, 21)) == all_ids()
    assert {event["data"]["job_id"] for event in take(one, 11)} == {"job-1"}


def test_a_silent_stream_sends_comments(job: Job, listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "NOTICE_SECONDS", 0.05)
    stream = listen()
    next(block for block in stream if "id" in block)
    assert [next(stream) for _ in range(2)] == [{}, {}]


def test_a_stream_ends_by_itself(listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAM_SECONDS", 0.2)
    assert list(events_of(listen())) == []


def test_a_stream_ends_with_the_process(app: Flask, job: Job, listen: Any) -> None:
    stream = listen("/api/events?since=0")
    assert take(stream, 1)
    threading.Timer(0.1, app.extensions["ledger"].stopping.set).start()
    assert list(events_of(stream)) == []


def test_only_so_many_streams_are_open_at_once(app: Flask, client: FlaskClient) -> None:
    app.extensions["ledger"].limits.streams = Limit(2, "event streams")
    first, second, third = client.get("/api/events"), client.get("/api/events"), client.get("/api/events")
    assert (third.status_code, third.json["code"], third.headers["Retry-After"]) == (503, "unavailable", "2")
    first.close()
    fourth = client.get("/api/events")
    assert fourth.status_code == 200
    fourth.close(), second.close()
    assert all(client.head("/api/events").status_code == 200 for _ in range(3))  # takes no place


def test_the_thread_of_the_feed_ends_after_its_last_reader(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "IDLE_SECONDS", 0)
    for _ in range(2):
        answer = client.get("/api/events")
        assert next(iter(answer.response))
        assert "feed" in [thread.name for thread in threading.enumerate()]
        answer.close()
        wait_for(lambda: "feed" not in [thread.name for thread in threading.enumerate()], 30)
