"""Event streams: how many requests a second the service answers beside them, and how late events arrive.

The load reads jobs while another job changes 20 times a second. Every stream gets every change. It also measures how
soon a claim that waits gets a new job.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from contestants import Contestant
from fill import RUNNING, fill
from front import answer_of, crowded
from load import Client
from operations import SEEN, request
from rates import USUAL
from service import serving

CHANGES = 20  # a second
CLAIMS = 8
CLAIM = request("POST", "/api/jobs/claim", '{"worker": "bench", "wait": 20}')


def measure(numbers: tuple[int, ...], repeats: int, seconds: float) -> dict[str, Any]:
    """Requests a second for each number of streams; milliseconds from commits to streams, and from a job to a claim."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        services = [Path(folder) / str(number) for number in numbers]
        for path in services:
            path.mkdir()
            fill(f"sqlite:///{path}/b.db", range(1, SEEN + 1), RUNNING)
        with ExitStack() as stack:
            runs = [stack.enter_context(streaming(*pair)) for pair in zip(services, numbers, strict=True)]
            rates, late = measure_all(runs, numbers, repeats, seconds)
    return {"rates": rates, "late_ms": late, "claim_ms": claim_latency()}


@contextmanager
def streaming(folder: Path, number: int) -> Iterator[tuple[Contestant, Any]]:
    """A service with this many open streams, and the process that holds them."""
    with (
        serving(folder, SSE_LIMIT="2000") as service,
        crowded(service, folder, {"streams": number, "deaf": 0}) as holder,
    ):
        yield Contestant(f"{number} streams", service), holder


def measure_all(
    runs: list[tuple[Contestant, Any]], numbers: tuple[int, ...], repeats: int, seconds: float
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """(requests a second of each repeat, [median, 95 %] of the lateness of events in ms), by the number of streams."""
    rates: dict[str, list[float]] = {str(number): [] for number in numbers}
    for _ in range(repeats):
        for (contestant, _), before in zip(runs, rates.values(), strict=True):
            with changing(contestant.service.port):
                before.append(contestant.run("GET job", USUAL, seconds)["rate"])
    time.sleep(1)  # the last events arrive
    holders = {name: holder for name, (_, holder) in zip(rates, runs, strict=True) if int(name)}
    return rates, {name: answer_of(holder, "report")["late_ms"] for name, holder in holders.items()}


@contextmanager
def changing(port: int) -> Iterator[None]:
    """A job changes 20 times a second during the block."""
    is_over = threading.Event()

    def change() -> None:
        client, number = Client(port), 0
        while not is_over.wait(1 / CHANGES):
            number += 1
            client.ask(request("PATCH", "/api/jobs/load-1", f'{{"progress": {number % 100}}}'))
        client.close()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def claim_latency() -> float:
    """The median milliseconds from a new job to the answer of a claim that waits for it."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder, serving(Path(folder)) as service:
        worker, client = Client(service.port), Client(service.port)
        with ThreadPoolExecutor(1) as pool:
            return statistics.median(one_claim(worker, client, pool) for _ in range(CLAIMS))


def one_claim(worker: Client, client: Client, pool: ThreadPoolExecutor) -> float:
    """The milliseconds of one claim."""
    answer = pool.submit(worker.ask, CLAIM)
    time.sleep(0.2)  # after this time, the claim waits
    began = time.perf_counter()
    client.ask(request("POST", "/api/jobs", '{"prompt": "p"}'))
    answer.result(30)
    return (time.perf_counter() - began) * 1000
