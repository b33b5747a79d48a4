"""Server-Sent Events: every change once and in order, to whoever listens, whatever happens in between."""

import json
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import JOB_STATUSES, Event, Job, Loop
from records import events
from repos import JobRepository
from settings import Settings
from tests.conftest import ROOT, Server, clean_environment, wait_for
from web.api import events as live

Block = dict[str, Any]
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"])
jobs = JobRepository()


@pytest.fixture
def listen(client: FlaskClient) -> Iterator[Callable[..., Iterator[Block]]]:
    """Opens streams of the app; each gives its blocks."""
    opened: list[Any] = []

    def open_(path: str = "/api/events", **headers: str) -> Iterator[Block]:
        opened.append(client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}))
        assert opened[-1].status_code == 200, opened[-1].text
        assert opened[-1].content_type == "text/event-stream"
        return blocks(opened[-1].response)

    yield open_
    for answer in opened:
        answer.close()


def blocks(chunks: Iterator[bytes]) -> Iterator[Block]:
    """What a stream says, block by block: its fields, the data read as JSON; {} for a comment."""
    left = b""
    for chunk in chunks:
        *whole, left = (left + chunk).split(b"\n\n")
        for text in whole:
            found = dict(line.split(": ", 1) for line in text.decode().split("\n") if not line.startswith(":"))
            yield {**found, **({"data": json.loads(found["data"])} if "data" in found else {})}


def told(stream: Iterator[Block]) -> Iterator[Block]:
    """The events among the blocks of a stream."""
    return (block for block in stream if "event" in block)


def take(stream: Iterator[Block], count: int) -> list[Block]:
    """The next so many events."""
    events = told(stream)
    return [next(events) for _ in range(count)]


def ids(events: list[Block]) -> list[int]:
    """Their ids."""
    return [int(event["id"]) for event in events]


def all_ids() -> list[int]:
    """The ids of all events there are."""
    return [event.event_id for event in Event.select().order_by(Event.event_id)]


def test_an_event_is_told_with_its_whole_record(loop: Loop, listen: Any) -> None:
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


def test_a_job_s_stream_tells_of_the_job_its_tracks_and_loops_alone(loop: Loop, listen: Any) -> None:
    jobs.create(job_id="other", prompt="drums")
    stream = listen("/api/jobs/job-1/events?since=0")
    jobs.update("other", progress=5)
    jobs.delete("job-1")
    names = [event["event"] for event in take(stream, 6)]
    assert names[:3] == ["job.created", "track.created", "loop.created"]
    assert sorted(names[3:]) == ["job.deleted", "loop.deleted", "track.deleted"]


def test_a_job_s_stream_begins_with_where_the_job_stands(job: Job, listen: Any) -> None:
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
def test_a_point_that_was_never_given_leads_to_a_resync(job: Job, listen: Any, seen: str) -> None:
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


def test_a_slow_reader_gets_what_is_no_longer_held(job: Job, listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BATCH", 3)
    monkeypatch.setattr(events, "MAX_BUFFERED_CHARACTERS", 600)
    everything, one = listen("/api/events?since=0"), listen("/api/jobs/job-1/events?since=0")
    next(everything), next(one)
    for number in range(10):
        jobs.create(job_id=f"other-{number}", prompt="drums")
        jobs.update("job-1", progress=number + 1)
    assert ids(take(everything, 21)) == all_ids()
    assert {event["data"]["job_id"] for event in take(one, 11)} == {"job-1"}


def test_a_silent_stream_beats(job: Job, listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.05)
    stream = listen()
    assert [next(stream) for _ in range(4)][2:] == [{}, {}]


def test_a_stream_ends_by_itself(listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.2)
    assert list(told(listen())) == []


def test_a_stream_ends_with_the_process(app: Flask, job: Job, listen: Any) -> None:
    stream = listen("/api/events?since=0")
    assert take(stream, 1)
    threading.Timer(0.1, app.extensions["ledger"].stopping.set).start()
    assert list(told(stream)) == []


def test_only_so_many_streams_are_open_at_once(app: Flask, client: FlaskClient) -> None:
    app.extensions["ledger"].limits.streams = threading.BoundedSemaphore(2)
    first, second, third = client.get("/api/events"), client.get("/api/events"), client.get("/api/events")
    assert (third.status_code, third.json["code"], third.headers["Retry-After"]) == (503, "unavailable", "2")
    first.close()
    fourth = client.get("/api/events")
    assert fourth.status_code == 200
    fourth.close(), second.close()
    assert all(client.head("/api/events").status_code == 200 for _ in range(3))  # takes no place


@on_postgresql
def test_an_event_that_is_committed_after_a_higher_one_is_not_skipped(
    job: Job, settings: Settings, listen: Any
) -> None:
    stream = listen()
    next(stream), next(stream)
    with psycopg.connect(settings.database_url) as late:
        late.execute("INSERT INTO job (job_id, prompt) VALUES ('late', 'p')")
        jobs.update("job-1", progress=7)
        resumed = listen(f"/api/events?since={min(all_ids())}")
        assert "event" not in next(stream) and [next(resumed)] == [{"retry": "1000"}]
        threading.Timer(0.3, late.commit).start()
        seen = take(stream, 2)
        assert [event["data"]["entity_id"] for event in seen] == ["late", "job-1"]
        assert ids(take(resumed, 2)) == ids(seen) == all_ids()[-2:]


@on_postgresql
def test_no_event_waits_for_a_transaction_that_wrote_none_or_that_was_rolled_back(
    job: Job, settings: Settings, listen: Any
) -> None:
    stream = listen()
    next(stream), next(stream)
    with psycopg.connect(settings.database_url) as other, psycopg.connect(settings.database_url) as idle:
        idle.execute("UPDATE job SET lease_token = 'x'")
        idle.execute("UPDATE job SET lease_token = NULL")
        other.execute("INSERT INTO job (job_id, prompt) VALUES ('never', 'p')")
        jobs.create(job_id="next", prompt="drums")
        other.rollback()
        assert take(stream, 1)[0]["data"]["entity_id"] == "next"


@on_postgresql
def test_the_feed_outlives_its_connection(job: Job, settings: Settings, listen: Any) -> None:
    stream = listen("/api/events?since=0")
    assert len(take(stream, 1)) == 1
    with psycopg.connect(settings.database_url, autocommit=True) as other:
        [(ended,)] = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name LIKE '%feed' AND datname = current_database()"
        )
        assert ended == 1
        other.execute("UPDATE job SET progress = 7")
    assert take(stream, 1)[0]["data"]["data"]["progress"] == 7


def test_the_thread_of_the_feed_ends_after_its_last_reader(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "IDLE_SECONDS", 0)
    for _ in range(2):
        answer = client.get("/api/events")
        assert next(iter(answer.response))
        assert "feed" in [thread.name for thread in threading.enumerate()]
        answer.close()
        wait_for(lambda: "feed" not in [thread.name for thread in threading.enumerate()], 10)


class Listener:
    """A stream over a real socket."""

    def __init__(self, port: int, path: str = "/api/events?since=0", **headers: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=10)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", path, headers=sent)
        self.answer = self.connection.getresponse()

    def __iter__(self) -> Iterator[Block]:
        """Its blocks, until it ends."""
        return blocks(iter(lambda: self.answer.read1(65536), b""))

    def close(self) -> None:
        """Vanish."""
        self.answer.close()
        self.connection.close()


def test_a_place_is_free_again_when_its_client_has_vanished(server: Callable[..., Server]) -> None:
    running = server(SSE_LIMIT="2").start()
    first, command = Listener(running.port), ["curl", "-sN", f"{running.url}/api/events"]
    with closing(first), subprocess.Popen(command, stdout=subprocess.PIPE) as second:
        assert first.answer.status == 200 and second.stdout.read(1)
        assert is_refused(running)
        first.close()
        wait_for(lambda: not is_refused(running), 5)
        with closing(Listener(running.port)):
            second.kill()
            wait_for(lambda: not is_refused(running), 5)


def is_refused(running: Server) -> bool:
    """True when no more stream can be opened."""
    with closing(Listener(running.port)) as listener:
        return listener.answer.status == 503


def test_open_streams_do_not_hold_up_a_stop(server: Callable[..., Server], database_url: str) -> None:
    running = server(DATABASE_URL=database_url).start()
    listeners = [Listener(running.port) for _ in range(20)]
    running.process.terminate()
    assert running.process.wait(3) == 0
    assert [list(told(iter(listener))) for listener in listeners] == [[]] * 20
    assert "Traceback" not in running.log.read_text()
    for listener in listeners:
        listener.close()


def test_streams_want_the_token_too(server: Callable[..., Server]) -> None:
    running = server(API_TOKEN="secret").start()
    with (
        closing(Listener(running.port)) as stranger,
        closing(Listener(running.port, Authorization="Bearer secret")) as we,
    ):
        assert (stranger.answer.status, we.answer.status) == (401, 200)


def test_progress_never_falls_and_nothing_follows_an_end_but_a_retry(server: Callable[..., Server]) -> None:
    running = server(WORKERS="1").start()
    body = {"job_id": "song", "job_type": "synth", "prompt": "waltz", "metadata": {"duration": 12}}
    running.call("POST", "/api/jobs", body)
    with closing(Listener(running.port, "/api/jobs/song/events")) as listener:
        stream = iter(listener)
        follow(stream, until="generating_audio")
        running.call("POST", "/api/jobs/song/cancel")
        follow(stream, until="cancelled")
        assert next(stream) == {}
        running.call("POST", "/api/jobs/song/retry")
        [again] = take(stream, 1)
        assert again["data"]["data"] == {"status": "pending", "progress": 0, "message": None, "error": None}
        follow(stream, until="completed")
        assert next(stream) == {}


def follow(stream: Iterator[Block], until: str) -> None:
    """See status and progress of a job only rise, until a status is reached."""
    highest = (0, -1)
    for event in told(stream):
        if event["data"]["entity"] == "job":
            data = event["data"]["data"]
            here = (JOB_STATUSES.all.index(data["status"]), data["progress"])
            assert here >= highest or data["status"] == until == "cancelled", f"{data} after {highest}"
            highest = here
            if data["status"] == until:
                return


LATECOMER = """
import sys, time
from models import Job
for _ in range(int(sys.argv[1])):
    time.sleep(0.02)
    Job.update(message=str(time.time())).execute()
"""
STREAMS = 50


def test_fifty_streams_hear_of_another_process_s_commit_within_milliseconds(
    job: Job, ledger: Settings, server: Callable[..., Server]
) -> None:
    running = server(DATABASE_URL=ledger.database_url, SSE_LIMIT="200").start()  # streams of a round before linger
    rounds = (hear(running, ledger.database_url, 60) for _ in range(3))  # the machine may be busy with something else
    assert any(statistics.median(taken) <= 0.05 and taken[int(len(taken) * 0.99)] <= 0.25 for taken in rounds)


def hear(running: Server, url: str, commits: int) -> list[float]:
    """The seconds from each of another process's commits to each of the streams, the shortest first."""
    listeners = [Listener(running.port, "/api/events") for _ in range(STREAMS)]
    with ThreadPoolExecutor(STREAMS) as pool:
        readings = [pool.submit(latencies, listener, commits) for listener in listeners]
        env = clean_environment(DATABASE_URL=url, PYTHONPATH=str(ROOT))
        subprocess.run([sys.executable, "-c", LATECOMER, str(commits)], env=env, check=True)
        return sorted(seconds for reading in readings for seconds in reading.result(20))


def latencies(listener: Listener, count: int) -> list[float]:
    """How many seconds after the moment that each event names it was read."""
    with closing(listener):
        events = told(iter(listener))
        return [time.time() - float(next(events)["data"]["data"]["message"]) for _ in range(count)]


WRITER = """
import os, sys, threading, time
from database import release
from repos import JobRepository, get_session

def write(name, rounds):
    with get_session() as session:
        repo = JobRepository(session)
        for number in range(rounds):
            job_id = f"{name}-{number}"
            repo.create(job_id=job_id, prompt="p")
            for progress in (25, 50, 75):
                repo.update(job_id, progress=progress)
            repo.update(job_id, status="completed") if number % 2 else repo.delete(job_id)

threads = [threading.Thread(target=write, args=(f"{sys.argv[1]}-{n}", int(sys.argv[2]))) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
WRITERS, CHANGES_A_ROUND = 16, 5


def write(url: str, changes: int) -> list[subprocess.Popen[bytes]]:
    """Start 16 writers in four processes, which make so many changes together."""
    rounds = str(changes // WRITERS // CHANGES_A_ROUND)
    env = clean_environment(DATABASE_URL=url, PYTHONPATH=str(ROOT), SQLITE_SYNCHRONOUS="NORMAL")
    return [subprocess.Popen([sys.executable, "-c", WRITER, f"w{one}", rounds], env=env) for one in range(WRITERS // 4)]


class Reader(threading.Thread):
    """Reads all events, hanging up at random and resuming, until it has seen so many."""

    def __init__(self, running: Server, goal: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.running, self.goal, self.random = running, goal, random.Random(seed)
        self.seen: list[int] = []
        self.comebacks = 0

    def run(self) -> None:
        """Read on until the goal is reached."""
        while len(self.seen) < self.goal:
            try:
                self.read()
            except (OSError, HTTPException):  # the server was killed
                time.sleep(0.05)
            self.comebacks += 1

    def read(self) -> None:
        """Resume and read some, perhaps to the end."""
        last = {"Last_Event_ID": str(self.seen[-1])} if self.seen else {}
        with closing(Listener(self.running.port, **last)) as listener:
            enough = min(self.goal, len(self.seen) + self.random.randint(1, self.goal // 5))
            for event in told(iter(listener)):
                self.seen.append(int(event["id"]))
                if len(self.seen) >= enough:
                    return


def check_everything_is_told_once_and_in_order(url: str, running: Server, changes: int) -> None:
    """16 writers, readers that come and go, and a server that is killed twice."""
    running.start()
    readers = [Reader(running, changes, seed) for seed in range(6)]
    writers = write(url, changes)
    for each in readers:
        each.start()
    for part in (0.3, 0.6):
        wait_for(lambda part=part: min(len(each.seen) for each in readers) > part * changes, 240)
        running.signal_all(signal.SIGKILL)
        running.start()
    for each in readers:
        each.join(240)
    assert [writer.wait(60) for writer in writers] == [0] * len(writers)
    expected = all_ids()
    assert len(expected) == changes
    assert [each.seen == expected for each in readers] == [True] * len(readers)
    assert min(each.comebacks for each in readers) > 4


def test_readers_that_come_and_go_see_every_change_once_and_in_order(
    ledger: Settings, server: Callable[..., Server]
) -> None:
    url = ledger.database_url
    check_everything_is_told_once_and_in_order(url, server(DATABASE_URL=url), 400)


@pytest.mark.soak
def test_readers_see_twenty_thousand_changes_once_and_in_order(ledger: Settings, server: Callable[..., Server]) -> None:
    url = ledger.database_url
    check_everything_is_told_once_and_in_order(url, server(DATABASE_URL=url), 20_000)
