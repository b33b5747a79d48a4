"""python app.py over real sockets: its log, its processes, its memory, strange requests, whole lives, and SIGKILL."""

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from database import database, init_database, release
from models import JOB_STATUSES, LOOP_STATUSES, Event, Job
from settings import Settings
from tests.conftest import ROOT, SAMPLES, Server, thorough, wait_for

REQUESTS = json.loads((SAMPLES / "requests.json").read_text())
# A word that only one of the requests has, in the same order.
WORDS = [
    *("touching", "AURORAS", "hopeful", "studying", "木吉他", "ударных"),
    *("🎧", "saxophone", "ballad", "taiko", "chiptune", "one-drop"),
]
KILLS = thorough(30, 8)
WRITERS = 8


class Caller:
    """Sends JSON over one kept connection; calling it gives (status, body)."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw, headers = (None, {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})
        self.connection.request(method, path, raw, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        """Hang up; the next call opens a new connection."""
        self.connection.close()


def launch(service: Server) -> subprocess.Popen[bytes]:
    """Start a server without waiting for its first answer."""
    with service.log.open("ab") as log:
        command = [sys.executable, "app.py"]
        service.process = subprocess.Popen(
            command, cwd=ROOT, env=service.environment, stdout=log, stderr=log, start_new_session=True
        )
    return service.process


def group(number: int) -> list[psutil.Process]:
    """The processes of a group that are alive."""
    return [each for each in psutil.process_iter() if is_alive_in(each, number)]


def is_alive_in(process: psutil.Process, number: int) -> bool:
    """True for a process of the group, unless it is a zombie that only waits for its parent to look."""
    try:
        return os.getpgid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def web_workers(service: Server) -> list[psutil.Process]:
    """The processes that answer for a server: forks of its parent, unlike the workers that make audio."""
    assert service.process is not None
    return [each for each in psutil.Process(service.process.pid).children() if is_fork(each)]


def is_fork(process: psutil.Process) -> bool:
    """True for a living process with the command line of its parent."""
    try:
        return "app.py" in process.cmdline()
    except psutil.NoSuchProcess:  # a zombie too
        return False


def lines_with(service: Server, text: str) -> list[str]:
    """The lines of a server's log that have a text."""
    return [line for line in service.log.read_text().splitlines() if text in line]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("service")
    made = Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="0").start()
    yield made
    made.signal_all(signal.SIGTERM)


@pytest.fixture
def call(service: Server) -> Iterator[Caller]:
    """A caller of that server."""
    with closing(Caller(service.port)) as caller:
        yield caller


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
    assert [re.sub(r"[\d.]+ ms", "_ ms", line.split(" ", 2)[2]) for line in lines_with(service, "logged")] == [
        "DELETE /api/jobs/logged-once 400 _ ms",
        "GET /logged%0Atwice 404 _ ms",
    ]


def test_sql_echo_logs_every_statement_with_its_duration(server: Callable[..., Server]) -> None:
    running = server(SQL_ECHO="true").start()
    with closing(Caller(running.port)) as caller:
        assert caller("POST", "/api/jobs", {"prompt": "rain"})[0] == 201
    assert any(re.search(r" \d+\.\d{3} ms  INSERT INTO .job. ", line) for line in lines_with(running, "rain"))


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to_the_parent", "to_the_group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_all_its_processes_well(
    server: Callable[..., Server], number: int, send: Callable[[int, int], None]
) -> None:
    running = server(WORKERS="1")
    for _ in range(3):
        process = running.start().process
        with closing(Caller(running.port)) as idle:
            assert idle("GET", "/healthz")[0] == 200
            send(process.pid, number)
            assert process.wait(5) == 0
        assert group(process.pid) == []


def test_a_stop_signal_ends_it_even_while_its_worker_starts(server: Callable[..., Server]) -> None:
    running = server()
    process = launch(running)
    wait_for(lambda: web_workers(running), 40)
    process.send_signal(signal.SIGTERM)
    assert process.wait(4) == 0
    assert group(process.pid) == []


@pytest.mark.parametrize("is_ready", [Server.is_up, web_workers], ids=["serving", "starting"])
def test_the_workers_of_a_parent_that_is_killed_end_by_themselves(
    server: Callable[..., Server], is_ready: Callable[[Server], Any]
) -> None:
    running = server(WORKERS="1")
    process = launch(running)
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
    processes = [launch(first), launch(second)]
    wait_for(lambda: any(each.poll() is not None for each in processes), 30)
    assert sorted(each.poll() or 0 for each in processes) == [0, 1]


def test_a_thousand_requests_leave_the_worker_below_90_megabytes(server: Callable[..., Server]) -> None:
    running = server().start()
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


POST = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HOST, END = b"Host: 127.0.0.1\r\n", b"Connection: close\r\n\r\n"
STRANGE = {
    "a negative length": (POST + b"Content-Length: -1\r\n" + END, 400),
    "an endless length": (POST + b"Content-Length: 99999999999999999999\r\n" + END, 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n" + END, 400),
    "no body": (POST + END, 400),
    "a chunked body": (POST + b"Transfer-Encoding: chunked\r\n" + END + b'f\r\n{"prompt": "x"}\r\n0\r\n\r\n', 411),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n" + END, 403),
    "the same host twice": (b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + END, 403),
    "two hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n" + END, 403),
    "half an address as host": (b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n" + END, 403),
    "no text as host": (b"GET /healthz HTTP/1.1\r\nHost: \xff\r\n" + END, 403),
    "a method of its own": (b"FROB /healthz HTTP/1.1\r\n" + HOST + END, 405),
    "options of all": (b"OPTIONS * HTTP/1.1\r\n" + HOST + END, 404),
    "a proxy's request": (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + END, 404),
    "a path with NUL": (b"GET /api/jobs/%00 HTTP/1.1\r\n" + HOST + END, 404),
    "a path that is no UTF-8": (b"GET /api/jobs/%ff%fe HTTP/1.1\r\n" + HOST + END, 404),
    "a query that is neither": (b"GET /api/jobs?q=%ff%00 HTTP/1.1\r\n" + HOST + END, 400),
    "a way out of the folder": (b"GET /docs/%2e%2e/%2e%2e/app.py HTTP/1.1\r\n" + HOST + END, 404),
    "a file name with NUL": (b"GET /docs/%00%ff HTTP/1.1\r\n" + HOST + END, 404),
    "headers that are no text": (
        b"GET /api/jobs HTTP/1.1\r\nIf-None-Match: \xff\r\nOrigin: \xff\r\n" + HOST + END,
        200,
    ),
}


@pytest.mark.parametrize(("sent", "expected"), STRANGE.values(), ids=STRANGE)
def test_a_strange_request_is_answered_and_harms_nothing(sent: bytes, expected: int, service: Server) -> None:
    assert exchange(service.port, sent).startswith(f"HTTP/1.1 {expected} ".encode())
    assert service.is_up()
    assert lines_with(service, "Traceback") == []


def test_a_body_that_ends_early_is_refused(service: Server, call: Caller) -> None:
    sent = POST + b"Content-Length: 100\r\n" + END + b'{"prompt": "cut off", "job_id": "cut-off"}'
    assert exchange(service.port, sent, socket.SHUT_WR).startswith(b"HTTP/1.1 400 ")
    assert call("GET", "/api/jobs/cut-off")[0] == 404


def exchange(port: int, sent: bytes, then: int | None = None) -> bytes:
    """All that comes back for these bytes, after which the connection may be shut down in part."""
    with socket.create_connection(("127.0.0.1", port), timeout=9) as connection:
        connection.sendall(sent)
        if then is not None:
            connection.shutdown(then)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_every_sample_request_lives_from_its_first_status_to_its_deletion(
    ledger: Settings, server: Callable[..., Server]
) -> None:
    running = server(DATABASE_URL=ledger.database_url).start()
    with closing(Caller(running.port)) as caller:
        ids = [accepted(caller("POST", "/api/jobs", request))["job_id"] for request in REQUESTS]
        for job_id, request, word in zip(ids, REQUESTS, WORDS, strict=True):
            genre = request["metadata"]["genre"]
            alike = {one for one, other in zip(ids, REQUESTS, strict=True) if other["metadata"]["genre"] == genre}
            assert found(caller, f"q={quote(word)}") == {job_id}
            assert found(caller, f"metadata.genre={quote(genre)}") == alike
        for job_id in ids:
            live_and_die(caller, job_id)
        assert found(caller, "") == set()


def accepted(answer: tuple[int, Any]) -> Any:
    """The body of a 200 or 201."""
    status, body = answer
    assert status in (200, 201), body
    return body


def found(caller: Caller, query: str, kind: str = "job") -> set[str]:
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
    """Every status in order, each seen by a filter, and no way back."""
    for status in steps[1:]:
        accepted(caller("PATCH", f"/api/{kind}s/{record_id}", {"status": status}))
        assert found(caller, f"status={status}", kind) == {record_id}
    assert caller("PATCH", f"/api/{kind}s/{record_id}", {"status": steps[0]})[0] == 409


@dataclass
class Promise:
    """What one client sent of one job, and what the service said it keeps; numbers that only rise."""

    sent: int = -1
    kept: int = -1


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost_over_many_sigkills(tmp_path: Path, server: Callable[..., Server]) -> None:
    running, stop, promises = server(), threading.Event(), dict[str, Promise]()
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, running.port, f"w{one}", stop, promises) for one in range(WRITERS)]
        try:
            for _ in range(KILLS):
                kill_while_writing(running.start(), promises, writers)
            running.start()
        finally:
            stop.set()
    for writer in writers:
        writer.result()
    running.signal_all(signal.SIGKILL)
    check_database(tmp_path / "app.db", promises)


def kill_while_writing(running: Server, promises: dict[str, Promise], writers: list[Future[None]]) -> None:
    """SIGKILL every process of a server once its clients have got some more answers out of it."""
    number, goal = running.process.pid, kept(promises) + 5 * WRITERS

    def have_written() -> bool:
        for writer in writers:
            if writer.done():
                writer.result()
        return kept(promises) >= goal

    wait_for(have_written, 40)
    running.signal_all(signal.SIGKILL)
    wait_for(lambda: not group(number), 30)


def kept(promises: dict[str, Promise]) -> int:
    """How many writes were acknowledged."""
    return sum(promise.kept + 1 for promise in list(promises.values()))


def write(port: int, name: str, stop: threading.Event, promises: dict[str, Promise]) -> None:
    """Create jobs and update each a few times until told to stop, repeating whatever got no answer."""
    with closing(Caller(port)) as caller:
        for number in itertools.count():
            job_id = f"{name}-{number}"
            promise = promises[job_id] = Promise()
            for value in range(6):
                promise.sent = value
                if not persist(caller, job_id, promise, stop):
                    return
                promise.kept = value


def persist(caller: Caller, job_id: str, promise: Promise, stop: threading.Event) -> bool:
    """True once what was sent last is acknowledged, False when told to stop before."""
    path, body = f"/api/jobs/{job_id}", {"progress": promise.sent, "metadata": {"value": promise.sent}}
    new = {"job_id": job_id, "prompt": "rain", **body}
    is_broken = False
    while not stop.is_set():
        try:
            if is_broken:
                status, job = caller("GET", path)
                check(promise, (job["progress"], job["metadata"]) if status == 200 else None)
            accepted(caller("PATCH", path, body) if promise.sent else caller("POST", "/api/jobs", new))
            return True
        except (OSError, http.client.HTTPException):
            is_broken = True
            caller.close()
            stop.wait(0.05)
    return False


def check(promise: Promise, seen: tuple[int, Any] | None) -> None:
    """What is seen of a job must be the kept value or a later one, and whole."""
    progress, metadata = seen or (-1, {"value": -1})
    assert promise.kept <= progress <= promise.sent
    assert metadata == {"value": progress}


def check_database(path: Path, promises: dict[str, Promise]) -> None:
    """Every promise is kept, no job was made twice, and the file is sound."""
    init_database(Settings(_env_file=None, database_url=f"sqlite:///{path}"))
    jobs = {job.job_id: (job.progress, job.metadata) for job in Job.select()}
    births = [event.entity_id for event in Event.select().where(Event.change == "created")]
    assert database.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute_sql("PRAGMA foreign_key_check").fetchall() == []
    release()
    assert sorted(births) == sorted(jobs)
    for job_id, promise in promises.items():
        check(promise, jobs.get(job_id))
