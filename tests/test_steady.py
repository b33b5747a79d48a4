"""A busy service stays as it is: no error, every event to every stream, and no growth of its log, memory and files."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import tomli_w

from tests.conftest import Server, thorough, wait_for
from tests.figures import report
from tests.load import SAMPLE_SECONDS, STREAMS, WRITERS, Samples, Streams, clients, figures, percentile
from tests.own_generator import generator
from tests.service import UNMEASURED, accepted

SECONDS = thorough(1800, 0)
LEAST_WRITES = WRITERS * 10
LONGEST_WRITE = 0.25  # seconds, 99 of 100
LARGEST_WAL = 64 * 1024 * 1024 + 4 * 1024 * 1024  # bytes: the limit is applied after a checkpoint
GROWTH, MORE_FILES = 20_000_000, 10  # bytes and open files in an hour


def test_a_busy_service_stays_as_it_is(tmp_path: Path, server: Callable[..., Server]) -> None:
    recipe = generator(tmp_path / "generator", "write('a.wav')")
    (tmp_path / "generators.toml").write_text(tomli_w.dumps({"own": recipe}))
    running = server(WORKERS="2", GENERATORS=str(tmp_path / "generators.toml"), **UNMEASURED).start()
    streams, samples, pause = Streams(running.port), Samples(running), threading.Event()
    with clients(running.port) as load:
        end = time.monotonic() + SECONDS
        wait_for(lambda: len(load.write_seconds) >= LEAST_WRITES, 60)
        samples.take()
        while time.monotonic() < end:
            pause.wait(SAMPLE_SECONDS)
            samples.take()
        samples.take()
    accepted(running.call("POST", "/api/jobs", {"job_id": "last", "job_type": "none", "prompt": "p"}))
    wait_for(lambda: streams.ended == STREAMS, 60)
    assert set(load.statuses) == {200, 201}
    assert len(set(streams.events)) == 1 and streams.events[0] > len(load.write_seconds)
    assert max(samples.wal) <= LARGEST_WAL
    if SECONDS:
        report(f"{WRITERS} writers, 16 readers, {STREAMS} streams, 2 workers", figures(load, samples, streams))
        assert percentile(load.write_seconds, 0.99) < LONGEST_WRITE
        assert max(map(samples.slope, samples.memory.values())) < GROWTH
        assert max(map(samples.slope, samples.files.values())) < MORE_FILES
