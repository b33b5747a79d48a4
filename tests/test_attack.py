"""Everything slow at once from one address: a client of another address is served, quickly and always."""

import http.client
import ipaddress
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from flask import Flask

from access.shares import Clients, Limit
from models import Track
from tests.attackers import KINDS, attacking
from tests.conftest import Server, on_sqlite, wait_for
from tests.figures import report
from tests.fronts import get, post, rest, serving_flask
from tests.service import UNMEASURED
from web.current import Services

SECONDS = float(os.environ.get("ATTACK_SECONDS", "600"))
ATTACKER, OTHER, SERVICE = "10.99.0.1", "10.99.0.2", "10.99.0.3"
NUMBERS = {"heads": 500, "bodies": 500, "answers": 500, "kept": 2000, "streams": 936, "deaf": 64, "uploads": 1000}
SONG = bytes(20_000_000)
MEGABYTE = 1_000_000


@on_sqlite
def test_a_slow_crowd_of_one_address_leaves_all_answers_to_another(app: Flask, track: Track, song: bytes) -> None:
    services: Services = app.extensions["ledger"]
    exempt = frozenset({ipaddress.ip_network("127.0.0.1")})
    services.limits.clients, services.limits.streams = Clients(exempt), Limit(80, "event streams")
    with serving_flask(app, exempt=exempt, most=200) as front:
        for kind in KINDS.values():
            for _ in range(40):
                front.open(kind.first[:100_000], "127.0.0.2")
        statuses = []
        for number in range(30):
            create = post("/api/jobs", json.dumps({"job_id": f"j-{number}", "prompt": "rain"}).encode())
            for request in (create, get(f"/api/jobs/j-{number}")):
                closing_request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
                statuses.append(rest(front.open(closing_request, "127.0.0.3"))[9:12])
        assert statuses == [b"201", b"200"] * 30
        assert front.front.connections._places.by_client["127.0.0.2"] <= 50


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_a_slow_attack_of_one_address_does_not_slow_down_another(server: Callable[..., Server]) -> None:
    with addresses(ATTACKER, OTHER, SERVICE):
        running = server(HOST=SERVICE, API_TOKEN="secret", **UNMEASURED)
        running.url = f"http://{SERVICE}:{running.port}"
        running.start()
        token = {"Authorization": "Bearer secret"}
        (running.storage / "song.wav").write_bytes(SONG)
        running.call("POST", "/api/jobs", {"job_id": "j", "prompt": "p"}, **token)
        running.call("POST", "/api/jobs/j/tracks", {"track_id": "t", "file_path_wav": "song.wav"}, **token)
        with attacking(ATTACKER, SERVICE, running.port, NUMBERS) as answers:
            statuses, taken = ask(running.port, SECONDS)
            peak = running.memory()
        slowest = {method: sorted(times)[int(len(times) * 0.99)] for method, times in taken.items()}
        began = time.monotonic()
        wait_for(lambda: running.memory() <= 120 * MEGABYTE, 60, lambda: f"{running.memory()} bytes")
        figures = {
            "seconds": round(SECONDS),
            "requests of the other client": len(statuses),
            **{f"99 of 100 {method}, ms": round(1000 * seconds, 1) for method, seconds in slowest.items()},
            "memory of the web process in the attack, MB": round(peak / MEGABYTE, 1),
            f"{time.monotonic() - began:.0f} seconds after it, MB": round(running.memory() / MEGABYTE, 1),
            **{f"what the attackers got: {answer}": count for answer, count in answers.items()},
        }
        report("slow clients", figures)
        assert set(statuses) == {200, 201}
        assert max(slowest.values()) <= 0.1
        assert "Traceback" not in running.log.read_text()


def ask(port: int, seconds: float) -> tuple[list[int], dict[str, list[float]]]:
    """The statuses and durations of requests from another address, 20 a second, each tenth on a new connection."""
    statuses: list[int] = []
    taken: dict[str, list[float]] = {"GET": [], "POST": []}
    until, headers = time.monotonic() + seconds, {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    while time.monotonic() < until:
        connection = http.client.HTTPConnection(SERVICE, port, timeout=20, source_address=(OTHER, 0))
        with closing(connection):
            for method, path, body in [("GET", "/api/jobs/j", None), ("POST", "/api/jobs", '{"prompt": "rain"}')] * 5:
                began = time.monotonic()
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
                taken[method].append(time.monotonic() - began)
                time.sleep(max(0.0, 0.05 - taken[method][-1]))
    return statuses, taken


@contextmanager
def addresses(*names: str) -> Iterator[None]:
    """More addresses of this machine during the block; the test is skipped if it may not make them."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and ip, for addresses that are not loopback")
    made = []
    try:
        for name in names:
            subprocess.run(["ip", "address", "add", f"{name}/32", "dev", "lo"], check=True)
            made.append(name)
        yield
    finally:
        for name in made:
            subprocess.run(["ip", "address", "del", f"{name}/32", "dev", "lo"], check=True)
