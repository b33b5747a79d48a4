"""python app.py over real sockets: its log, its processes, its memory, and whole lives of jobs."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from models import JOB_STATUSES, LOOP_STATUSES, Event
from settings import Settings
from tests.conftest import ROOT, SAMPLES, Server, thorough, wait_for
from tests.service import UNMEASURED, Caller, accepted, group, lines_with, web_workers

pytestmark = pytest.mark.measured

REQUESTS = json.loads((SAMPLES / "requests.json").read_text())
# A word that only one of the requests has, in the same order.
WORDS = [
    *("touching", "AURORAS", "hopeful", "studying", "木吉他", "ударных"),
    *("🎧", "saxophone", "ballad", "taiko", "chiptune", "one-drop"),
]
WRITERS = 8


def test_the_first_line_says_where_it_listens_and_what_it_keeps(
    server: Callable[..., Server], database_url: str, kind: str, tmp_path: Path
) -> None:
    running = server(DATABASE_URL=database_url).start()
    kept = rf"SQLite 3\.\d+\.\d+ {tmp_path}/app\.db" if kind == "sqlite" else r"PostgreSQL \d+(\.\d+)?( \(.*\))?"
    expected = rf"DiffRhythm Ledger: {running.url}  database: {kept}  storage: {tmp_path}/output"
    assert re.fullmatch(expected, running.log.read_text().splitlines()[0])


def test_one_request_is_one_line_of_the_log(service: Server, call: Caller) -> None:
    assert call("DELETE", "/api/jobs/logged-once?unknown=1")[0] == 400
    assert call("GET", "/logged%0Atwice")[0] == 404
    wait_for(lambda: len(lines_with(service, "logged")) > 1, 30)
    assert [re.sub(r"[\d.]+ ms .*", "_ ms", line.split(" ", 2)[2]) for line in lines_with(service, "logged")] == [
        "127.0.0.1 DELETE /api/jobs/logged-once 400 _ ms",
        "127.0.0.1 GET /logged%0Atwice 404 _ ms",
    ]


def test_sql_echo_logs_every_statement_with_its_duration(server: Callable[..., Server]) -> None:
    running = server(SQL_ECHO="true").start()
    with closing(Caller(running.port)) as caller:
        assert caller("POST", "/api/jobs", {"prompt": "rain"})[0] == 201
    assert any(re.search(r" \d+\.\d{3} ms  INSERT INTO job ", line) for line in lines_with(running, "rain"))


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to_the_parent", "to_the_group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_all_its_processes_well(
    server: Callable[..., Server], number: int, send: Callable[[int, int], None]
) -> None:
    running = server(WORKERS="1")
    for _ in range(thorough(3, 1)):
        process = running.start().process
        with closing(Caller(running.port)) as idle:
            assert idle("GET", "/healthz")[0] == 200
            send(process.pid, number)
            assert process.wait(20) == 0
        assert group(process.pid) == []


def test_a_stop_signal_ends_it_even_while_its_worker_starts(server: Callable[..., Server]) -> None:
    running = server(**UNMEASURED)  # coverage has a handler of its own for the signal
    process = running.launch()
    wait_for(lambda: web_workers(running), 40)
    process.send_signal(signal.SIGTERM)
    assert process.wait(4) == 0  # a signal that is swallowed costs five seconds
    assert group(process.pid) == []


@pytest.mark.parametrize("is_ready", [Server.is_up, web_workers], ids=["serving", "starting"])
def test_the_workers_of_a_parent_that_is_killed_end_by_themselves(
    server: Callable[..., Server], is_ready: Callable[[Server], Any]
) -> None:
    running = server(WORKERS="1")
    process = running.launch()
    wait_for(lambda: is_ready(running), 40)
    process.kill()
    try:
        wait_for(lambda: process.poll() is not None and not group(process.pid), 6)
    finally:
        for left in group(process.pid):
            left.kill()
    running.start()  # the port is free


def test_a_worker_that_dies_is_replaced(server: Callable[..., Server]) -> None:
    running = server().start()
    [worker] = web_workers(running)
    worker.kill()
    wait_for(lambda: worker not in web_workers(running) and running.is_up(), 40)


def test_a_second_server_on_the_same_port_refuses_to_start(service: Server) -> None:
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=service.environment, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"PORT is {service.port}" in done.stderr and done.stderr.count("\n") == 1
    assert service.is_up()


def test_of_two_servers_that_start_at_once_on_one_port_one_refuses(server: Callable[..., Server]) -> None:
    first, second = server(), server()
    second.environment["PORT"] = first.environment["PORT"]
    processes = [first.launch(), second.launch()]
    wait_for(lambda: any(process.poll() is not None for process in processes), 30)
    assert sorted(process.poll() or 0 for process in processes) == [0, 1]


def test_a_thousand_requests_leave_the_worker_below_90_megabytes(server: Callable[..., Server]) -> None:
    running = server(**UNMEASURED).start()
    with ThreadPoolExecutor(WRITERS) as pool:
        done = sum(pool.map(lambda number: post_and_get(running.port, number), range(WRITERS)))
    assert done == 1000
    [worker] = web_workers(running)
    assert worker.memory_info().rss <= 90_000_000


def post_and_get(port: int, number: int) -> int:
    """How many of 125 requests were answered as they should be."""
    done = 0
    with closing(Caller(port)) as caller:
        for request in itertools.islice(itertools.cycle(REQUESTS), 25):
            status, job = caller("POST", "/api/jobs", request)
            done += status == 201
            done += caller("GET", job["urls"]["self"])[0] == 200
            done += caller("GET", "/api/jobs?count=true&limit=50")[0] == 200
            done += caller("GET", f"/api/jobs?q={quote(WORDS[number])}")[0] == 200
            done += caller("GET", "/api/stats")[0] == 200
    return done


def test_every_sample_request_lives_from_its_first_status_to_its_deletion(
    ledger: Settings, server: Callable[..., Server]
) -> None:
    running = server(DATABASE_URL=ledger.database_url).start()
    with closing(Caller(running.port)) as caller:
        ids = [accepted(caller("POST", "/api/jobs", request))["job_id"] for request in REQUESTS]
        for job_id, request, word in zip(ids, REQUESTS, WORDS, strict=True):
            genre = request["metadata"]["genre"]
            alike = {one for one, other in zip(ids, REQUESTS, strict=True) if other["metadata"]["genre"] == genre}
            assert ids_matching(caller, f"q={quote(word)}") == {job_id}
            assert ids_matching(caller, f"metadata.genre={quote(genre)}") == alike
        for job_id in ids:
            live_and_die(caller, job_id)
        assert ids_matching(caller, "") == set()


def ids_matching(caller: Caller, query: str, kind: str = "job") -> set[str]:
    """The ids of the records that a query finds."""
    return {item[f"{kind}_id"] for item in accepted(caller("GET", f"/api/{kind}s?{query}"))["items"]}


def live_and_die(caller: Caller, job_id: str) -> None:
    """Take a job and a loop of its track through all their statuses, then delete the job."""
    track = accepted(caller("POST", f"/api/jobs/{job_id}/tracks", {"duration": 95.5, "metadata": {"artist": "Ada"}}))
    loop = accepted(caller("POST", f"{track['urls']['self']}/loops", {"duration": 600, "format": "WAV"}))
    walk(caller, "job", job_id, JOB_STATUSES.steps)
    walk(caller, "loop", loop["loop_id"], LOOP_STATUSES.steps)
    assert caller("DELETE", f"/api/jobs/{job_id}") == (204, None)
    for gone in (f"/api/jobs/{job_id}", track["urls"]["self"], loop["urls"]["self"]):
        assert caller("GET", gone)[0] == 404
    ends = Event.select().where(Event.job_id == job_id, Event.change == "deleted")
    assert {event.entity: event.entity_id for event in ends} == {
        "job": job_id,
        "track": track["track_id"],
        "loop": loop["loop_id"],
    }
    assert len(ends) == 3


def walk(caller: Caller, kind: str, record_id: str, steps: tuple[str, ...]) -> None:
    """Take a record through all statuses in order: a filter finds it in every one, and no step leads back."""
    for status in steps[1:]:
        accepted(caller("PATCH", f"/api/{kind}s/{record_id}", {"status": status}))
        assert ids_matching(caller, f"status={status}", kind) == {record_id}
    assert caller("PATCH", f"/api/{kind}s/{record_id}", {"status": steps[0]})[0] == 409
