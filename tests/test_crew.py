"""The worker processes beside the web process: a lost one is replaced, and one that does not stop is killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from server import crew
from server.crew import Crew
from tests.conftest import wait_for

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def stubborn_worker(kind: str) -> subprocess.Popen[bytes]:
    """A process that ignores SIGTERM, as soon as it does."""
    worker = subprocess.Popen([sys.executable, "-S", "-c", STUBBORN], stdout=subprocess.PIPE)
    assert worker.stdout is not None and worker.stdout.readline() == b"ready\n"
    worker.stdout.close()
    return worker


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """A running crew of two workers that ignore SIGTERM."""
    monkeypatch.setattr(crew, "_worker", stubborn_worker)
    monkeypatch.setattr(crew, "WORKER_STOP_SECONDS", 0.1)
    made = Crew(1)
    made.start()
    yield made
    made.stop()


def test_workers_that_do_not_stop_are_killed(stubborn: Crew) -> None:
    stubborn.stop()
    assert stubborn.kinds == ["jobs", "loops"]
    assert [member.returncode for member in stubborn.members] == [-signal.SIGKILL] * 2


def test_a_worker_that_has_ended_is_replaced(stubborn: Crew, caplog: pytest.LogCaptureFixture) -> None:
    job_worker, loop_worker = stubborn.members
    loop_worker.kill()
    wait_for(lambda: stubborn.members[1] is not loop_worker, 30)
    assert stubborn.members[0] is job_worker and stubborn.members[1].poll() is None
    assert f"worker {loop_worker.pid} ended with code -9; starting another" in caplog.text


def test_without_workers_nothing_is_started() -> None:
    empty = Crew(0)
    empty.start()
    empty.stop()
    assert empty.members == []
