"""The processes of the service: one that ends is replaced, and one that does not stop is killed."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from maintenance.board import Board
from server import crew
from server.crew import Crew, Member
from tests.conftest import wait_for

pytestmark = pytest.mark.measured

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


class StubSignals:
    """Signals for a crew in a thread: it stops when a test says so."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def must_stop(self) -> bool:
        """True after the test has said so."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait a moment."""
        threading.Event().wait(min(seconds, 0.02))

    def stop(self) -> None:
        """Tell the crew to stop."""
        self._event.set()


def stubborn_process(kind: str = "") -> subprocess.Popen[bytes]:
    """A process that ignores SIGTERM, as soon as it does."""
    process = subprocess.Popen([sys.executable, "-S", "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Crew]]:
    """Runs a crew of two workers in a thread."""
    signals, threads = StubSignals(), []

    def run(start: Callable[[str], subprocess.Popen[bytes]]) -> Crew:
        monkeypatch.setattr(crew, "worker", start)
        monkeypatch.setattr(crew, "STOP_SECONDS", 0.1)
        made = Crew(0, 1, print, Board(1))
        threads.append(threading.Thread(target=made.run, args=(signals,)))
        threads[-1].start()
        wait_for(lambda: all(member.is_running() for member in made.members), 30)
        return made

    yield run
    signals.stop()
    for thread in threads:
        thread.join(30)


def test_processes_that_do_not_stop_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "worker", stubborn_process)
    monkeypatch.setattr(crew, "STOP_SECONDS", 0.1)
    made, signals = Crew(0, 1, print, Board(1)), StubSignals()
    for member in made.members:
        member.look()
    made.stop(signals)  # type: ignore[arg-type]
    assert [member.process.poll() for member in made.members if member.process] == [-signal.SIGKILL] * 2


def test_a_worker_that_has_ended_is_replaced(running: Callable[..., Crew], caplog: pytest.LogCaptureFixture) -> None:
    first, second = running(stubborn_process).members
    kept, lost = first.process, second.process
    assert lost is not None
    lost.kill()
    wait_for(lambda: second.process is not lost and second.is_running(), 30)
    assert first.process is kept
    assert f"worker {lost.pid} ended with code -9; another starts in 0.1 s" in caplog.text


def test_a_start_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    failures = [OSError("no more processes"), OSError("no more processes")]

    def start() -> subprocess.Popen[bytes]:
        if failures:
            raise failures.pop()
        return stubborn_process()

    member = Member("worker", start)
    member.look()
    member.look()  # not due yet
    assert len(failures) == 1 and 0 < member.seconds_until_due() <= crew.FIRST_PAUSE_SECONDS

    def look() -> bool:
        member.look()
        return member.is_running()

    wait_for(look, 30)
    assert member.process is not None and caplog.text.count("no worker can be started just now") == 2
    member.process.kill()
    wait_for(lambda: not member.is_running(), 30)


def test_each_pause_is_twice_as_long_as_the_one_before() -> None:
    def fail() -> subprocess.Popen[bytes]:
        raise OSError("no more processes")

    member, pauses = Member("worker", fail), []
    for _ in range(9):
        member._due_at = 0.0
        member.look()
        pauses.append(member._pause)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_one_worker_makes_loops_beside_those_that_make_jobs() -> None:
    assert [member.name for member in Crew(2, 3, print, Board(3)).members] == ["web process"] * 2 + ["worker"] * 4
    assert [member.name for member in Crew(1, 0, print, Board(2)).members] == ["web process"]
