"""A normal client, for bench/front.py: 50 requests a second, in turn GET job, POST job and 64 kB of a WAV."""

import http.client
import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any, cast

RATE = 50  # requests of the normal client in a second
WAV_SECONDS = 114  # 20 MB
PART_BYTES = 64 * 1024


def run_normal_client(port: int, seconds: float) -> dict[str, Any]:
    """Run a normal client for these seconds, in a process of its own."""
    arguments = [sys.executable, __file__, str(port), str(seconds)]
    return cast(dict[str, Any], json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout))


def show(scene: str, result: dict[str, Any]) -> None:
    """Print the figures of a normal client."""
    shown = [f"{kind} {percentiles(taken)}" for kind, taken in result["taken"].items()]
    refused = f"{result['refused']} of {result['sent']} refused"
    print(f"{scene}: p50/p99/max ms: {', '.join(shown)}; {refused}, {result['rate']:.1f}/s", flush=True)


def percentiles(taken: list[float]) -> str:
    """The median, the 99th percentile and the longest."""
    ordered = sorted(taken)
    return f"{statistics.median(ordered):.1f}/{ordered[int(len(ordered) * 0.99)]:.1f}/{ordered[-1]:.1f}"


def ask(port: int, seconds: float) -> None:
    """Send 50 requests a second on one connection; print how long each took."""
    connection, began = http.client.HTTPConnection("127.0.0.1", port, timeout=60), time.perf_counter()
    taken: dict[str, list[float]] = {"GET": [], "POST": [], "audio": []}
    statuses: Counter[int] = Counter()
    for number in range(int(seconds * RATE)):
        time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        kind, sent_at = list(taken)[number % 3], time.perf_counter()
        statuses[ask_once(connection, kind)] += 1
        taken[kind].append((time.perf_counter() - sent_at) * 1000)
    sent, refused = statuses.total(), sum(count for status, count in statuses.items() if status >= 500)
    rate = sent / (time.perf_counter() - began)
    json.dump({"taken": taken, "sent": sent, "refused": refused, "rate": rate}, sys.stdout)


def ask_once(connection: http.client.HTTPConnection, kind: str) -> int:
    """Send one request of this kind; the status of its answer, or 599 if the connection was lost."""
    start = random.randrange(4 * 44100 * WAV_SECONDS - PART_BYTES)
    method, path, body, headers = {
        "GET": ("GET", "/api/jobs/one", None, {}),
        "POST": ("POST", "/api/jobs", '{"prompt": "folk"}', {"Content-Type": "application/json"}),
        "audio": ("GET", "/api/tracks/one/audio", None, {"Range": f"bytes={start}-{start + PART_BYTES - 1}"}),
    }[kind]
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 599


if __name__ == "__main__":
    ask(int(sys.argv[1]), float(sys.argv[2]))
