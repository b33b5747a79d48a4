"""Requests a second: every operation, with 1, 16 and 64 connections, of every contestant that has it, in turn."""

from dataclasses import dataclass
from typing import Any

from contestants import GRANIAN, GRANIAN_FREE, OPERATIONS, OURS, RAW, Contestant, Raw
from operations import OPERATIONS as ALL

USUAL = 16  # connections


@dataclass(frozen=True)
class Plan:
    """How much to measure: the repeats, the seconds of each, and the numbers of connections."""

    repeats: int
    seconds: float
    connections: tuple[int, ...]


def measure(servers: list[Contestant | Raw], plan: Plan) -> list[dict[str, Any]]:
    """A row for each operation, number of connections and contestant, with the rate and the p99 of each repeat."""
    rows = []
    for operation in ALL:
        for connections in plan.connections:
            participants = [contestant for contestant in servers if takes_part(contestant.name, operation, connections)]
            rows += compare(participants, operation, connections, plan)
    return rows


def takes_part(name: str, operation: str, connections: int) -> bool:
    """True if this contestant has the operation. Some contestants run only with the usual number of connections."""
    if name == OURS:
        return True
    return operation in OPERATIONS[name] and (connections == USUAL or name not in (RAW, GRANIAN, GRANIAN_FREE))


def compare(participants: list[Contestant | Raw], operation: str, connections: int, plan: Plan) -> list[dict[str, Any]]:
    """The rows of one operation. The contestants take turns, so that other load on the machine slows all of them."""
    rows: dict[str, dict[str, Any]] = {
        contestant.name: {
            "operation": operation,
            "connections": connections,
            "contestant": contestant.name,
            "rate": [],
            "p99": [],
        }
        for contestant in participants
    }
    for _ in range(plan.repeats):
        for contestant in participants:
            figures = contestant.run(operation, connections, plan.seconds)
            rows[contestant.name]["rate"].append(figures["rate"])
            rows[contestant.name]["p99"].append(figures["p99"])
    return list(rows.values())
