"""Reads the results of a benchmark: medians, spreads and ratios. A figure that was not measured is None."""

import statistics
from collections.abc import Sequence
from typing import Any

Results = dict[str, Any]


class Rates:
    """The rows of requests, by operation, connections and contestant."""

    def __init__(self, results: Results) -> None:
        self.rows = {
            (row["operation"], row["connections"], row["contestant"]): row for row in results.get("requests", [])
        }
        self.operations = list(dict.fromkeys(operation for operation, _, _ in self.rows))
        self.connections = sorted({connections for _, connections, _ in self.rows})

    def rate(self, operation: str, contestant: str, connections: int = 16) -> float | None:
        """The median of operations a second."""
        return middle(self._figures(operation, contestant, connections, "rate"))

    def p99(self, operation: str, contestant: str, connections: int = 16) -> float | None:
        """The median of the 99th percentiles, in milliseconds."""
        return middle(self._figures(operation, contestant, connections, "p99"))

    def spread(self, operation: str, contestant: str, connections: int = 16) -> str:
        """The lowest and the highest rate of the repeats."""
        figures = self._figures(operation, contestant, connections, "rate")
        return f"{min(figures):,.0f}–{max(figures):,.0f}" if figures else ""

    def ratio(
        self, operation: str, one: str, other: str, connections: int = 16, base: str | None = None
    ) -> float | None:
        """The rate of one contestant as a multiple of the rate of another. base: the operation of the other."""
        return ratio(self.rate(operation, one, connections), self.rate(base or operation, other, connections))

    def _figures(self, operation: str, contestant: str, connections: int, name: str) -> list[float]:
        row = self.rows.get((operation, connections, contestant))
        return row[name] if row else []


def queue_rate(results: Results, database: str, workers: int, contestant: str, kind: str) -> float | None:
    """The median of jobs a second of a queue. kind: put; take, which also finishes the job; or both together."""
    for row in results.get("queues", []):
        if (row["database"], row["workers"], row["contestant"]) == (database, workers, contestant):
            put, take = statistics.median(row["put"]), statistics.median(row["take"])
            return {"put": put, "take": take, "both": 1 / (1 / put + 1 / take)}[kind]
    return None


def stream_ratio(results: Results, number: int) -> float | None:
    """The request rate with this number of open streams, divided by the rate without streams."""
    rates = results.get("streams", {}).get("rates", {})
    return ratio(middle(rates.get(str(number), [])), middle(rates.get("0", [])))


def in_process(results: Results, operation: str, way: str) -> float | None:
    """The CPU time of one way, as a multiple of the time that SQLite itself needs."""
    rows = {row["operation"]: row for row in results.get("in_process", [])}
    return ratio(rows[operation][way], rows[operation]["sqlite"]) if operation in rows else None


def growth(row: Results) -> float:
    """The time with the most jobs as a multiple of the time with the fewest."""
    figures = list(row["ms"].values())
    return float(figures[-1] / figures[0])


def middle(figures: Sequence[float]) -> float | None:
    """The median, or None."""
    return statistics.median(figures) if figures else None


def ratio(one: float | None, other: float | None) -> float | None:
    """The quotient, or None."""
    return one / other if one is not None and other else None
