"""One client address in front of others: it gets its share of every limit, and another address is served."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from access.shares import Limit
from maintenance.traffic import Traffic
from server import connections
from server import front as limits
from server.front import Site
from server.http import Connection
from tests.conftest import on_sqlite, wait_for
from tests.fronts import HOST, RunningFront, StillFeed, get, post, rest, running
from web.current import Services
from web.limits import is_read

SECONDS = 30
THIS, ATTACKER, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
EXEMPT = frozenset({ipaddress.ip_network(THIS)})
LARGE = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2000000\r\n"
SMALL = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 60000\r\n"
ANSWER = bytes(1_000_000)


class Held:
    """An app that answers /held when the test says so, /large with a megabyte, and all else at once."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        assert environ["PATH_INFO"] != "/held" or self.go_on.wait(SECONDS)
        start("200 OK", [])
        return [ANSWER if environ["PATH_INFO"] == "/large" else b"done"]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches with few clients. The share of an address is a quarter of each."""
    monkeypatch.setattr(limits, "REQUESTS", 8)
    monkeypatch.setattr(limits, "FILE_BODIES", 8)
    monkeypatch.setattr(limits, "BODIES_BYTES", 400_000)
    monkeypatch.setattr(limits, "CHECK_SECONDS", 3600.0)
    monkeypatch.setattr(connections, "UNSENT_BYTES", 8_800_000)


@pytest.fixture
def front(small_limits: None, tmp_path: Path) -> Iterator[RunningFront]:
    """A front for which 127.0.0.2 and 127.0.0.3 are clients of other machines, and 127.0.0.1 is a proxy."""
    feed: Any = StillFeed()
    app, names = Held(), iter(range(10_000))
    new_file = lambda: tmp_path / str(next(names))  # noqa: E731
    site = Site(app, lambda _: 10_000_000, is_read, lambda _: False, new_file, feed, Traffic(), 4)
    with running(site, proxies=EXEMPT, exempt=EXEMPT, most=40) as made:
        yield made
        app.go_on.set()


def counted(front: RunningFront) -> list[Limit]:
    """All limits of a front."""
    inner = front.front
    return [inner.connections._places, inner._memory, inner._files, inner._reads, inner._writes, inner._uploads]


def is_forgotten(front: RunningFront) -> bool:
    """True when no limit counts anything."""
    return all((limit.used, limit.by_client) == (0, {}) for limit in counted(front))


def status(client: socket.socket) -> bytes:
    """The status of the answer that a client gets."""
    return client.recv(65536)[9:12]


def test_an_address_with_too_many_connections_is_told_so(front: RunningFront) -> None:
    opened = [front.open(b"", ATTACKER) for _ in range(10)]
    wait_for(lambda: len(front.front.connections) == 10, SECONDS)
    answer = rest(front.open(b"", ATTACKER))
    assert answer.startswith(b"HTTP/1.1 429 ") and b"Retry-After: 2\r\n" in answer
    assert b"Your address has too many connections open: try again in a moment." in answer
    assert [status(front.open(get(), address)) for address in (OTHER, THIS)] == [b"200", b"200"]
    opened[0].close()
    wait_for(lambda: status(front.open(get(), ATTACKER)) == b"200", SECONDS)


def test_a_client_of_ipv4_is_itself_on_a_socket_for_ipv6(front: RunningFront) -> None:
    transport = Mock(get_extra_info=lambda _: ("::ffff:203.0.113.9", 1, 0, 0))
    connection = Connection(front.front)
    front.call(connection.connection_made, transport)
    assert connection.peer == "203.0.113.9"
    assert front.front.connections._places.by_client == {"203.0.113.9": 1}
    front.call(connection.connection_lost, None)


def test_no_more_than_some_connections_are_refused_at_a_time(
    front: RunningFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_REFUSED", 2)
    for _ in range(10):
        front.open(b"", ATTACKER)
    wait_for(lambda: len(front.front.connections) == 10, SECONDS)
    refused = [front.open(b"", ATTACKER) for _ in range(2)]
    wait_for(lambda: len(front.front.connections) == 12, SECONDS)
    assert rest(front.open(b"", ATTACKER)) == b""
    assert [status(client) for client in refused] == [b"429", b"429"]


def test_a_proxy_may_open_more_connections_than_one_client(front: RunningFront) -> None:
    for _ in range(20):
        front.open(b"", THIS)
    assert status(front.open(get(), THIS)) == b"200"


@pytest.mark.parametrize(("sent", "most"), [(LARGE + b"\r\n", 2), (SMALL + b"\r\n" + bytes(59_000), 1)])
def test_half_uploads_of_one_address_leave_room_for_others(front: RunningFront, sent: bytes, most: int) -> None:
    halves = [front.open(sent, ATTACKER) for _ in range(most)]
    wait_for(lambda: sum(limit.used for limit in (front.front._files, front.front._memory)) in (2, 59_000), SECONDS)
    refused = rest(front.open(sent, ATTACKER))
    assert refused.startswith(b"HTTP/1.1 429 ") and b'"code": "too_many"' in refused
    assert status(front.open(post("/", bytes(50_000)), OTHER)) == b"200"
    assert status(front.open(post("/", bytes(1_100_000)), OTHER)) == b"200"
    for client in halves:
        client.close()
    wait_for(lambda: status(front.open(post("/", bytes(50_000)), ATTACKER)) == b"200", SECONDS)


def test_behind_a_proxy_the_share_is_that_of_the_forwarded_address(front: RunningFront) -> None:
    def upload(address: str) -> socket.socket:
        return front.open(LARGE + b"X-Forwarded-For: 198.51.100.1, %s\r\n\r\n" % address.encode())

    for _ in range(2):
        upload("2001:db8::1")
    wait_for(lambda: front.front._files.by_client == {"2001:db8::/64": 2}, SECONDS)
    assert status(upload("2001:db8::2")) == b"429"
    upload("203.0.113.1")
    wait_for(lambda: front.front._files.by_client == {"2001:db8::/64": 2, "203.0.113.1": 1}, SECONDS)
    for _ in range(3):
        front.open(LARGE + b"\r\n")  # the proxy itself, or a program on this machine
    wait_for(lambda: front.front._files.used == 6, SECONDS)


def test_few_requests_of_a_client_are_kept_until_it_has_its_first_answer(front: RunningFront) -> None:
    connection = front.connection(front.open(get("/held") + get() * 200))
    wait_for(lambda: front.front._reads.used == 1, SECONDS)
    assert 2 <= front.call(lambda: len(connection._exchanges)) <= 40  # 100 of them took up to 377 KB


def test_requests_of_one_address_leave_threads_for_others(front: RunningFront) -> None:
    held = [front.open(get("/held"), ATTACKER) for _ in range(2)]
    wait_for(lambda: front.front._reads.used == 2, SECONDS)
    assert status(front.open(get("/held"), ATTACKER)) == b"429"
    assert status(front.open(post("/", b"{}"), ATTACKER)) == b"200"  # writes have a limit of their own
    assert status(front.open(get(), OTHER)) == b"200"
    front.front.site.app.go_on.set()  # type: ignore[attr-defined]
    assert [status(client) for client in held] == [b"200", b"200"]
    assert status(front.open(get("/held"), ATTACKER)) == b"200"


def test_an_address_that_reads_nothing_is_cut_off_before_others(front: RunningFront) -> None:
    def opened(address: str) -> Connection:
        connection = front.connection(front.open(get("/large"), address))
        wait_for(lambda: not connection.is_writable, SECONDS)
        return connection

    other = opened(OTHER)
    deaf = [opened(ATTACKER) for _ in range(4)]  # one after another: few requests of an address may wait at once
    wait_for(lambda: sum(connection.has_left for connection in deaf) == 2, SECONDS)
    wait_for(lambda: len(front.front.connections.slow) == 3, SECONDS)
    assert not other.has_left


def test_connections_without_a_request_make_room_for_new_clients(front: RunningFront) -> None:
    busy = [front.open(get("/held"), f"127.0.0.{number}") for number in range(10, 14)]
    idle = {number: [front.open(b"", f"127.0.0.{number}") for _ in range(8)] for number in range(10, 13)}
    halves = [front.open(b"GET / HTTP", "127.0.0.13") for _ in range(9)]
    wait_for(lambda: front.front._reads.used == 4 and len(front.front.connections) == 37, SECONDS)
    front.call(front.front.connections.make_room)
    wait_for(lambda: len(front.front.connections) == 36, SECONDS)
    assert rest(halves[0]) == b""  # the oldest one of the address that has most
    assert [len(clients) for clients in idle.values()] == [8, 8, 8]
    front.front.site.app.go_on.set()  # type: ignore[attr-defined]
    assert [status(client) for client in busy] == [b"200"] * 4


LEAVING = {
    "in a head": b"GET / HT",
    "in a small body": SMALL + b"\r\n" + bytes(30_000),
    "in a large body": LARGE + b"\r\n" + bytes(300_000),
    "in a small body that waits for an answer before it": get("/held") + SMALL + b"\r\n" + bytes(30_000),
    "in a large body that waits for an answer before it": get("/held") + LARGE + b"\r\n" + bytes(30_000),
    "before the answer": post("/held", bytes(30_000)),
    "before the answer to a large body": post("/held", bytes(1_100_000)),
    "in an answer": get("/large") + post("/", bytes(30_000)),
    "after an answer": get() + post("/", bytes(30_000)),
    "after a refusal": LARGE.replace(b"2000000", b"20000000") + b"\r\n" + bytes(30_000),
    "after a request that cannot be read": SMALL + b"\r\n" + bytes(60_000) + b"\x00\r\n\r\n",
    "in a body that cannot be read": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "in the body of a request with Upgrade": SMALL + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + bytes(30_000),
}


@pytest.mark.parametrize("ends", [socket.SHUT_WR, None], ids=["half", "whole"])
def test_nothing_stays_counted_when_clients_leave(front: RunningFront, ends: int | None) -> None:
    clients = [front.open(sent, f"127.0.1.{number}") for number, sent in enumerate(LEAVING.values())]
    wait_for(lambda: len(front.front.connections) == len(clients), SECONDS)
    wait_for(lambda: all(limit.used for limit in counted(front)[:5]), SECONDS)
    for client in clients:
        client.shutdown(ends) if ends is not None else client.close()
    front.front.site.app.go_on.set()  # type: ignore[attr-defined]
    for client in clients if ends is not None else []:
        rest(client)
    wait_for(lambda: is_forgotten(front), SECONDS, lambda: str([vars(limit) for limit in counted(front)]))


def test_nothing_stays_counted_after_a_stop(front: RunningFront) -> None:
    for number, sent in enumerate(LEAVING.values()):
        front.open(sent, f"127.0.1.{number}")
    wait_for(lambda: len(front.front.connections) == len(LEAVING), SECONDS)
    front.call(front.front.stop)
    front.front.site.app.go_on.set()  # type: ignore[attr-defined]
    front.run(front.front.close(SECONDS))
    assert is_forgotten(front)


def from_(address: str) -> dict[str, dict[str, str]]:
    """The argument of a test client that gives its request this address."""
    return {"environ_base": {"REMOTE_ADDR": address}}


@on_sqlite
def test_streams_of_one_address_leave_room_for_others(client: FlaskClient, services: Services) -> None:
    services.limits.streams = Limit(4, "event streams")
    first = client.get("/api/events", **from_("203.0.113.1"))  # type: ignore[arg-type]
    refused = client.get("/api/events", **from_("203.0.113.1"))  # type: ignore[arg-type]
    assert (refused.status_code, refused.json["code"], refused.headers["Retry-After"]) == (429, "too_many", "2")
    others = [client.get("/api/events", **from_(address)) for address in ("203.0.113.2", THIS, THIS)]  # type: ignore[arg-type]
    assert [answer.status_code for answer in (first, *others)] == [200, 200, 200, 200]
    assert client.get("/api/events").status_code == 503
    for answer in (first, *others):
        answer.close()
    assert (services.limits.streams.used, services.limits.streams.by_client) == (0, {})


@on_sqlite
def test_a_request_that_may_not_wait_is_answered_at_once(client: FlaskClient, services: Services, job: Any) -> None:
    services.limits.waits = Limit(4, "waits")
    services.limits.waits.take("203.0.113.1")
    wait = {"headers": {"Prefer": "wait=60"}}
    answer = client.get("/api/jobs/job-1", **wait, **from_("203.0.113.1"))  # type: ignore[arg-type]
    assert (answer.status_code, answer.json["status"]) == (200, "pending")
    services.stopping.set()
    client.get("/api/jobs/job-1", **wait, **from_("203.0.113.2"))  # type: ignore[arg-type]
    assert services.limits.waits.by_client == {"203.0.113.1": 1}


@pytest.fixture
def services(client: FlaskClient) -> Services:
    """What the requests of the app share."""
    return client.application.extensions["ledger"]  # type: ignore[no-any-return]
