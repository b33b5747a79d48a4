"""The load of a busy service: clients that write and read, event streams, songs; and samples of its processes."""

import re
import selectors
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.service import Caller, Server
from tests.victims import WORDS

WRITERS, READERS, STREAMS = 8, 16, 64
PAUSE_SECONDS = 0.05  # between the answer to a client and its next request
SONG_SECONDS = 2.0  # between two songs
SAMPLE_SECONDS = 1.0
PATCHES = 9  # of each job that a writer creates
LAST = b'"entity_id":"last"'
END_OF_CHUNKS = b"0\r\n\r\n"
READS = (
    "/api/jobs?limit=20",
    "/api/jobs?q=rain&limit=20",
    "/api/stats",
    "/api/tracks?limit=20",
    "/api/queue",
    "/",
)


@dataclass
class Load:
    """What the clients of a run have seen."""

    port: int
    stop: threading.Event = field(default_factory=threading.Event)
    statuses: Counter[int] = field(default_factory=Counter)
    write_seconds: list[float] = field(default_factory=list)

    def write(self, name: int) -> None:
        """Create jobs and change each a few times."""
        with closing(Caller(self.port)) as call:
            number = 0
            while not self.stop.is_set():
                job_id, round_ = f"w{name}-{number // (PATCHES + 1)}", number % (PATCHES + 1)
                body = {"job_id": job_id, "job_type": "none", "prompt": "rain"}
                request = (
                    ("PATCH", f"/api/jobs/{job_id}", {"progress": round_}) if round_ else ("POST", "/api/jobs", body)
                )
                begun = time.monotonic()
                self.statuses[call(*request)[0]] += 1
                self.write_seconds.append(time.monotonic() - begun)
                number += 1
                self.stop.wait(PAUSE_SECONDS)

    def read(self, name: int) -> None:
        """Read lists, records and pages."""
        connection = Caller(self.port)
        with closing(connection):
            number = name
            while not self.stop.is_set():
                connection.connection.request("GET", READS[number % len(READS)])
                answer = connection.connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
                number += 1
                self.stop.wait(PAUSE_SECONDS)

    def order_songs(self, name: int) -> None:
        """Order small songs for the workers."""
        with closing(Caller(self.port)) as call:
            while not self.stop.is_set():
                self.statuses[call("POST", "/api/jobs", {"job_type": "own", "prompt": "p"})[0]] += 1
                self.stop.wait(SONG_SECONDS)


@contextmanager
def clients(port: int) -> Iterator[Load]:
    """Clients that write and read in this block. Their errors are raised at its end."""
    load = Load(port)
    kinds: list[tuple[Callable[[int], None], int]] = [
        (load.write, WRITERS),
        (load.read, READERS),
        (load.order_songs, 1),
    ]
    with ThreadPoolExecutor(WRITERS + READERS + 1) as pool:
        running = [pool.submit(act, name) for act, count in kinds for name in range(count)]
        try:
            yield load
        finally:
            load.stop.set()
    for client in running:
        client.result()


class Streams:
    """Event streams that a thread reads, and opens again when the service ends them, as browsers do.

    It counts the events of each, until the event of the job `last`.
    """

    def __init__(self, port: int) -> None:
        self.port, self.ended = port, 0
        self.events, self.newest = [0] * STREAMS, [0] * STREAMS
        self._selector = selectors.DefaultSelector()
        for number in range(STREAMS):
            self._open(number)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _open(self, number: int) -> None:
        client = socket.create_connection(("127.0.0.1", self.port), 30)
        client.sendall(b"GET /api/events?since=%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % self.newest[number])
        self._selector.register(client, selectors.EVENT_READ, [number, b""])

    def _read(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select(1):
                number, left = key.data
                received = self._receive(key.fileobj)
                whole, separator, rest = (left + received).rpartition(b"\n\n")
                key.data[1] = rest if separator else left + received
                self._count(number, whole)
                if LAST in whole or key.data[1].endswith(END_OF_CHUNKS) or not received:
                    self.ended += LAST in whole
                    self._selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    if LAST not in whole:
                        self._open(number)

    def _receive(self, client: Any) -> bytes:
        with suppress(OSError):
            return bytes(client.recv(1 << 20))
        return b""

    def _count(self, number: int, whole: bytes) -> None:
        ids = [int(name) for name in re.findall(rb"^id: (\d+)\nevent: (?!resync)", whole, re.MULTILINE)]
        self.events[number] += len(ids)
        self.newest[number] = max([self.newest[number], *ids])


@dataclass
class Samples:
    """The memory in bytes and the open files of each process, the size of the WAL, and the seconds of each sample."""

    server: Server
    seconds: list[float] = field(default_factory=list)
    wal: list[int] = field(default_factory=list)
    memory: dict[str, list[int]] = field(default_factory=dict)
    files: dict[str, list[int]] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def take(self) -> None:
        """Take a sample of the parent and of the processes that it keeps."""
        assert self.server.process is not None
        parent = psutil.Process(self.server.process.pid)
        self.seconds.append(time.monotonic())
        log = self.server.folder / "app.db-wal"
        self.wal.append(log.stat().st_size if log.exists() else 0)
        for process in [parent, *parent.children()]:
            name = self._name(process)
            self.memory.setdefault(name, []).append(process.memory_info().rss)
            self.files.setdefault(name, []).append(process.num_fds())

    def _name(self, process: psutil.Process) -> str:
        """What a process is. All are the same from the first sample to the last."""
        if process.pid not in self._names:
            words = " ".join(process.cmdline())
            kind = next(
                (name for name, word in WORDS.items() if word in words), "web process" if self._names else "parent"
            )
            self._names[process.pid] = f"{kind} {sum(name.startswith(kind) for name in self._names.values()) + 1}"
        return self._names[process.pid]

    def slope(self, values: list[int]) -> float:
        """How much these samples grow in an hour, after the first third of the run."""
        first = len(values) // 3
        return statistics.linear_regression(self.seconds[first : len(values)], values[first:]).slope * 3600


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values is."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def figures(load: Load, samples: Samples, streams: Streams) -> dict[str, Any]:
    """The figures for docs/safety.md."""
    megabyte, writes = 1_000_000, load.write_seconds
    growth = {name: samples.slope(values) / megabyte for name, values in samples.memory.items()}
    return {
        "seconds": round(samples.seconds[-1] - samples.seconds[0]),
        **{f"answers {status}": count for status, count in sorted(load.statuses.items())},
        "writes": len(writes),
        "milliseconds of a write: median, p99, longest": ", ".join(
            f"{1000 * percentile(writes, share):.1f}" for share in (0.5, 0.99, 1)
        ),
        f"events to each of {STREAMS} streams": streams.events[0],
        "largest WAL, MB": round(max(samples.wal) / megabyte, 1),
        **{
            f"memory of {name}, MB: first, last, growth in an hour": f"{values[0] / megabyte:.1f}, "
            f"{values[-1] / megabyte:.1f}, {growth[name]:+.1f}"
            for name, values in samples.memory.items()
        },
        **{
            f"open files of {name}: first, last, growth in an hour": f"{values[0]}, {values[-1]}, "
            f"{samples.slope(values):+.1f}"
            for name, values in samples.files.items()
        },
    }
