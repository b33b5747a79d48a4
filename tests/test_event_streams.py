"""Streams of events over real sockets: clients that vanish, stops, tokens, and a job from start to end."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from models import JOB_STATUSES, Job
from settings import Settings
from tests.conftest import ROOT, Server, clean_environment, wait_for
from tests.streams import Block, Listener, events_of, take

pytestmark = pytest.mark.measured


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
    assert [list(events_of(iter(listener))) for listener in listeners] == [[]] * 20
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
    for event in events_of(stream):
        if event["data"]["entity"] == "job":
            data = event["data"]["data"]
            here = (JOB_STATUSES.all.index(data["status"]), data["progress"])
            assert here >= highest or data["status"] == until == "cancelled", f"{data} after {highest}"
            highest = here
            if data["status"] == until:
                return


FIVE_CHANGES = """
from repos import JobRepository
for progress in range(1, 6):
    JobRepository().update("job-1", progress=progress)
"""


def test_fifty_streams_get_the_commits_of_another_process(
    job: Job, ledger: Settings, server: Callable[..., Server]
) -> None:
    running = server(DATABASE_URL=ledger.database_url).start()
    listeners = [Listener(running.port) for _ in range(50)]
    env = clean_environment(DATABASE_URL=ledger.database_url, PYTHONPATH=str(ROOT))
    subprocess.run([sys.executable, "-c", FIVE_CHANGES], env=env, check=True)
    for listener in listeners:
        with closing(listener):
            progress = [event["data"]["data"]["progress"] for event in take(iter(listener), 6)]
        assert progress == [0, 1, 2, 3, 4, 5]


def test_a_stream_has_forecasts_if_it_asks_for_them(server: Callable[..., Server]) -> None:
    running = server().start()
    for job_id in ("one", "two"):
        running.call("POST", "/api/jobs", {"job_id": job_id, "job_type": "other", "prompt": "waltz"})
    with (
        closing(Listener(running.port, "/api/events?forecast=true")) as all_records,
        closing(Listener(running.port, "/api/jobs/two/events?forecast=true")) as of_two,
        closing(Listener(running.port, "/api/jobs/two/events")) as without,
    ):
        whole, two, plain = iter(all_records), iter(of_two), iter(without)
        assert next_forecast(whole) == {"waiting": 2, "running": 0, "done_in": None}
        assert next_forecast(two) == {"job_id": "two", "position": 2, "done_in": None}
        running.call("POST", "/api/jobs/two/next")
        assert next_forecast(two) == {"job_id": "two", "position": 1, "done_in": None}
        running.call("PATCH", "/api/jobs/two", {"status": "generating_audio"})
        assert next_forecast(whole) == {"waiting": 1, "running": 1, "done_in": None}
        assert next_forecast(two) == {"job_id": "two", "position": None, "done_in": None}
        running.call("PATCH", "/api/jobs/two", {"status": "completed"})
        events = [next(block for block in plain if "event" in block) for _ in range(4)]
        assert events[-1]["data"]["data"]["status"] == "completed"
        assert {event["event"] for event in events} == {"job.created", "job.updated"}


def next_forecast(stream: Iterator[Block]) -> Block:
    """The data of the next forecast, which has no id."""
    block = next(block for block in stream if block.get("event", "").endswith(".forecast"))
    assert "id" not in block
    return block["data"]  # type: ignore[no-any-return]
