"""The core of the web process: one of those it may use, and not the core of another web process."""

import os
import sys
from collections.abc import Callable
from contextlib import closing

import psutil
import pytest

from server import affinity
from tests.conftest import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has processor affinity")
CORES = [10_001, 10_002, 10_003]  # no machine has them, so no server reserves them


def test_services_on_congruent_ports_choose_different_cores() -> None:
    first, reservation = affinity.choose_core(CORES, 8000)
    assert reservation is not None
    with closing(reservation):
        second, other = affinity.choose_core(CORES, 8003)
        assert other is not None
        other.close()
    assert {first, second} < set(CORES) and first != second


def test_a_core_is_free_again_when_its_process_has_ended() -> None:
    first, reservation = affinity.choose_core(CORES, 8000)
    assert reservation is not None
    reservation.close()
    again, reservation = affinity.choose_core(CORES, 8000)
    assert again == first and reservation is not None
    reservation.close()


def test_services_share_cores_by_port_when_every_core_is_reserved() -> None:
    reservations = [affinity.choose_core(CORES, 8000)[1] for _ in CORES]
    assert all(reservations)
    assert [affinity.choose_core(CORES, port) for port in (9, 10, 11)] == [(core, None) for core in CORES]
    for reservation in reservations:
        assert reservation is not None
        reservation.close()


@pytest.mark.parametrize(("pinned", "count"), [("true", 1), ("false", 2)])
def test_the_web_process_stays_on_the_cores_it_was_started_with(
    pinned: str, count: int, server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < count:
        pytest.skip("needs two cores")
    chosen = set(sorted(allowed)[-count:])
    os.sched_setaffinity(0, chosen)
    try:
        service = server(PIN_WEB_PROCESS=pinned).start()
    finally:
        os.sched_setaffinity(0, allowed)
    assert service.process is not None
    [web] = psutil.Process(service.process.pid).children()
    assert set(web.cpu_affinity()) == chosen
