"""The processes beside the web process: one that ends is replaced, whatever happens in between."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from server import crew
from server.crew import Crew
from tests.conftest import wait_for


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """Two members that sleep; the first try to replace one fails."""
    failures = [OSError("no more processes")]

    def start(kind: str) -> subprocess.Popen[bytes]:
        if len(made.members) == 2 and failures:
            raise failures.pop()
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    made = Crew(1)
    monkeypatch.setattr(crew, "_worker", start)
    made.start()
    yield made
    made.stop()


def test_a_worker_that_died_is_replaced_also_after_a_start_that_failed(pair: Crew) -> None:
    first = pair.members[0]
    first.kill()
    wait_for(lambda: pair.members[0] is not first, 20)
    assert pair.members[0].poll() is None and pair.kinds == ["jobs", "loops"]
