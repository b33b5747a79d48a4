"""Several web processes that share one port: each serves, and one that dies is replaced."""

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.conftest import Server, wait_for
from tests.service import UNMEASURED, web_workers
from tests.streams import Listener, take

pytestmark = pytest.mark.measured


def test_web_processes_share_the_port_and_what_they_record(server: Callable[..., Server]) -> None:
    running = server(WEB_PROCESSES="2", **UNMEASURED).start()
    first, second = wait_for(lambda: len(found := web_workers(running)) == 2 and found, 20)
    with closing(Listener(running.port)) as listener:
        for number in range(20):
            assert running.call("POST", "/api/jobs", {"job_id": f"j{number}", "prompt": "p"})[0] == 201
        assert [event["data"]["entity_id"] for event in take(iter(listener), 20)] == [f"j{n}" for n in range(20)]
    first.kill()
    wait_for(lambda: len(web_workers(running)) == 2, 20)
    assert running.call("GET", "/api/jobs/j0")[0] == 200 and second.is_running()
    assert running.process is not None
    running.process.terminate()
    assert running.process.wait(10) == 0
