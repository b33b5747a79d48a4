"""The goals for speed, and the values that a run has measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from figures import Rates, Results, growth, in_process, queue_rate, ratio, stream_ratio

QUICK_MS = 10.0  # for searches, filters, counts and statistics at the largest size
QUICK = ("common word", "rare word", "metadata filter", "metadata that no job has", "count", "statistics")

WAYS = {"json": "to JSON", "repository": "by a repository"}


@dataclass(frozen=True)
class Goal:
    """One goal: its name, its limit and the measured value; None if it was not measured."""

    name: str
    limit: float
    value: float | None
    unit: str = "×"
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """True if the value is within the limit."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def goals(results: Results) -> list[Goal]:
    """All goals that were measured."""
    every = [*of_requests(results), *of_queues(results), *of_code(results), *of_growth(results), *of_footprint(results)]
    return [goal for goal in every if goal.value is not None]


def of_requests(results: Results) -> Iterator[Goal]:
    """Requests a second at 16 connections, beside the other contestants, and with open streams."""
    rates = Rates(results)
    for operation, limit in {"GET job": 10, "list of 50": 13, "POST job": 5, "PATCH progress": 7}.items():
        yield Goal(f"{operation}: replaced service", limit, rates.ratio(operation, "ours", "replaced service"))
        late = ratio(rates.p99(operation, "ours"), rates.p99(operation, "replaced service"))
        yield Goal(f"{operation}: p99 of the replaced service", 1, late, at_least=False)
    for operation, limit in {"GET job": 0.65, "304": 0.75, "list of 50": 0.35}.items():
        floor = rates.ratio(operation, "ours", "Flask constant", base="GET job")
        yield Goal(f"{operation}: Flask constant (a job)", limit, floor)
    for operation in ("POST job", "PATCH progress"):
        yield Goal(f"{operation}: raw SQLite", 0.6, rates.ratio(operation, "ours", "raw SQLite"))
    for operation, pinned in {"healthz": 0.8, "GET job": 0.9, "POST job": 1.0}.items():
        yield Goal(f"{operation}: granian, one core", pinned, rates.ratio(operation, "ours", "granian, one core"))
        yield Goal(f"{operation}: granian, all cores", 1.3, rates.ratio(operation, "ours", "granian, all cores"))
    for streams, limit in {64: 0.9, 1000: 0.65}.items():
        yield Goal(f"GET job with {streams:,} open streams: without", limit, stream_ratio(results, streams))


def of_queues(results: Results) -> Iterator[Goal]:
    """Jobs a second as a queue."""
    for database, workers, other, limit in (
        ("SQLite", 1, "huey", 1),
        ("SQLite", 16, "huey", 2),
        ("PostgreSQL", 8, "procrastinate", 2),
    ):
        one, two = (queue_rate(results, database, workers, name, "take") for name in ("ours", other))
        yield Goal(
            f"claim and complete, {workers} worker{'s' * (workers > 1)}, {database}: {other.title()}",
            limit,
            ratio(one, two),
        )


def of_code(results: Results) -> Iterator[Goal]:
    """CPU time beside SQLite's own."""
    limits = {"create": (1.5, 3), "update": (2, 4), "get": (3, 4), "list of 50": (1.5, 7)}
    for operation, (json, repository) in limits.items():
        for way, limit in (("json", json), ("repository", repository)):
            value = in_process(results, operation, way)
            yield Goal(f"{operation} {WAYS[way]}: SQLite's time", limit, value, at_least=False)


def of_growth(results: Results) -> Iterator[Goal]:
    """The time with the most jobs beside the time with the fewest."""
    rows = results.get("growth", [])
    for row in rows:
        yield Goal(f"growth: {row['operation']}", 1.5, growth(row), at_least=False)
    for row in rows:
        if row["operation"] in QUICK:
            slowest = list(row["ms"].values())[-1]
            yield Goal(f"most jobs: {row['operation']}", QUICK_MS, slowest, "ms", at_least=False)


def of_footprint(results: Results) -> Iterator[Goal]:
    """Memory and starts."""
    figures = {**results.get("footprint", {}), "loaded_mb": results.get("memory", {}).get("ours")}
    for name, key, limit, unit in (
        ("memory of the web process at rest", "rest_mb", 90, "MB"),
        ("memory of the web process after the load", "loaded_mb", 120, "MB"),
        ("python app.py answers", "ready_seconds", 1, "s"),
        ("from models import Job", "import_seconds", 0.2, "s"),
    ):
        yield Goal(name, limit, figures.get(key), unit, at_least=False)
