"""Measures how long a commit takes to reach 50 event streams, and a new job a claim that waits: make bench."""

import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from service import ROOT, send, serving

sys.path.insert(0, str(ROOT))

from database import init_database, release  # noqa: E402
from models import Job  # noqa: E402
from settings import Settings  # noqa: E402
from tests.streams import Block, Listener, events_of  # noqa: E402

STREAMS, COMMITS, CLAIMS = 50, 200, 20
CLAIM = ("POST", "/api/jobs/claim", '{"worker": "bench", "wait": 20}')


def main() -> None:
    """Print the median, the 99th percentile and the longest of all streams; the median and the longest of claims."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        url = f"sqlite:///{folder}/b.db"
        with serving(Path(folder), DATABASE_URL=url, SSE_LIMIT="200") as service:
            send(service.port, ("POST", "/api/jobs", '{"job_id": "one", "prompt": "p"}'))
            taken = measure(service.port, url)
            claims = sorted(claim_latencies(service.port))
    figures = (statistics.median(taken), taken[int(len(taken) * 0.99)], taken[-1])
    print("commit to {} streams: median {:.1f} ms, 99 % {:.1f} ms, longest {:.1f} ms".format(STREAMS, *figures))
    print(f"new job to waiting claim: median {statistics.median(claims):.1f} ms, longest {claims[-1]:.1f} ms")


def measure(port: int, url: str) -> list[float]:
    """The milliseconds from each commit to each stream, the shortest first."""
    listeners = [Listener(port, "/api/events") for _ in range(STREAMS)]
    with ThreadPoolExecutor(STREAMS) as pool:
        readings = [pool.submit(latencies, listener) for listener in listeners]
        commit(url)
        return sorted(taken for reading in readings for taken in reading.result(20))


def commit(url: str) -> None:
    """Change a job repeatedly. Its message is the time just before the change."""
    init_database(Settings(_env_file=None, database_url=url))
    for _ in range(COMMITS):
        time.sleep(0.02)
        Job.update(message=str(time.monotonic())).execute()
    release()


def latencies(listener: Listener) -> list[float]:
    """For each event: the milliseconds from the time in its message until it was read."""
    with closing(listener):
        events = events_of(iter(listener))
        return [milliseconds_since(next(events)) for _ in range(COMMITS)]


def milliseconds_since(event: Block) -> float:
    """The milliseconds since the time in the message of an event."""
    return 1000 * (time.monotonic() - float(event["data"]["data"]["message"]))


def claim_latencies(port: int) -> list[float]:
    """The milliseconds from each new job to the answer of a claim that has waited for it."""
    send(port, CLAIM)  # takes the job of the streams
    with ThreadPoolExecutor(1) as pool:
        return [claim_latency(port, pool) for _ in range(CLAIMS)]


def claim_latency(port: int, pool: ThreadPoolExecutor) -> float:
    """The milliseconds from one new job to the answer of one claim."""
    answer = pool.submit(send, port, CLAIM)
    time.sleep(0.3)  # the claim waits by then
    began = time.monotonic()
    send(port, ("POST", "/api/jobs", '{"prompt": "p"}'))
    answer.result(30)
    return 1000 * (time.monotonic() - began)


if __name__ == "__main__":
    main()
