"""Writes the tables and pictures of docs/benchmarks.md from docs/benchmarks.json."""

import json
import re
from pathlib import Path

from figures import Rates, Results, growth, middle, queue_rate, ratio, stream_ratio
from goals import goals
from pictures import bars, lines

DOCS = Path(__file__).parent.parent / "docs"
MARKS = "<!-- results: written by python bench/report.py -->", "<!-- end of the results -->"
PICTURES = {
    "requests": ("benchmarks-rates.svg", "Requests a second of this service and of the replaced service", bars),
    "growth": ("benchmarks-growth.svg", "Milliseconds of a request by the number of jobs", lines),
}

Table = list[list[str]]


def main() -> None:
    """Write the pictures, and the tables between the marks."""
    results = json.loads((DOCS / "benchmarks.json").read_text())
    links = []
    for part, (file, about, draw) in PICTURES.items():
        if part in results:
            (DOCS / file).write_text(draw(results))
            links.append(f"![{about}]({file})\n")
    begin, end = MARKS
    text = "\n".join([begin, "", *links, report(results), end])
    page = DOCS / "benchmarks.md"
    page.write_text(re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: text, page.read_text(), flags=re.S))


def report(results: Results) -> str:
    """All tables of the results, in Markdown. A part that was not measured is left out."""
    sections = {
        "Requests a second": requests(results),
        "Numbers of connections": connections(results),
        "The server": server(results),
        "As a queue": queues(results),
        "Event streams": streams(results),
        "CPU time beside SQLite's own": in_process(results),
        "Growth": growths(results),
        "Footprint": footprint(results),
        "Goals": goal_table(results),
    }
    parts = [f"### {title}\n\n{markdown(table)}\n" for title, table in sections.items() if len(table) > 1]
    return "\n".join([machine(results), *parts])


def machine(results: Results) -> str:
    """One sentence about the machine."""
    about = results["machine"]
    return (
        f"Measured on {about['date']}: {about['cores']} cores, Python {about['python']}, SQLite {about['sqlite']}, the "
        "load generator on the same machine.\n"
    )


def markdown(table: Table) -> str:
    """A table in Markdown: the first row is its head."""
    head, *rows = table
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def requests(results: Results) -> Table:
    """Each operation at 16 connections: our rate, and its ratio to the rates of the others."""
    rates = Rates(results)
    table = [["16 connections", "requests/s", "lowest–highest", "p99 ms"]]
    table[0] += ["× replaced service", "its p99 ms", "× Flask constant", "× raw SQLite"]
    for operation in rates.operations:
        table.append(
            [
                operation,
                number(rates.rate(operation, "ours")),
                rates.spread(operation, "ours"),
                number(rates.p99(operation, "ours"), 1),
                number(rates.ratio(operation, "ours", "replaced service"), 1),
                number(rates.p99(operation, "replaced service"), 1),
                number(rates.ratio(operation, "ours", "Flask constant"), 2),
                number(rates.ratio(operation, "ours", "raw SQLite"), 2),
            ]
        )
    return table


def connections(results: Results) -> Table:
    """Requests a second and p99 with each number of connections, ours and those of the replaced service."""
    rates = Rates(results)
    if len(rates.connections) < 2:
        return []
    table = [["requests/s (p99 ms)", *(f"ours, {count}" for count in rates.connections)]]
    table[0] += [f"replaced, {count}" for count in rates.connections]
    for operation in rates.operations:
        cells = [
            f"{number(rate)} ({number(rates.p99(operation, name, count), 1)})" if rate is not None else ""
            for name in ("ours", "replaced service")
            for count in rates.connections
            for rate in [rates.rate(operation, name, count)]
        ]
        table.append([operation, *cells])
    return table


def server(results: Results) -> Table:
    """This app behind granian, beside the server of its own."""
    rates = Rates(results)
    table = [["16 connections", "ours/s", "p99 ms"]]
    others = ("granian, one core", "granian, all cores")
    for name in others:
        table[0] += [f"× {name}", "its p99 ms"]
    for operation in ("healthz", "GET job", "POST job"):
        if rates.rate(operation, others[0]) is not None:
            cells = [operation, number(rates.rate(operation, "ours")), number(rates.p99(operation, "ours"), 1)]
            for name in others:
                cells += [number(rates.ratio(operation, "ours", name), 2), number(rates.p99(operation, name), 1)]
            table.append(cells)
    return table


def queues(results: Results) -> Table:
    """Jobs a second: put into the queue; taken out and finished; both together."""
    table = [["jobs/s", "ours", "Huey or Procrastinate", "ratio"]]
    kinds = {
        "put": "create · enqueue",
        "take": "complete and claim the next · dequeue, run and store",
        "both": "both together",
    }
    rows = {(row["database"], row["workers"]): row["contestant"] for row in results.get("queues", [])}
    for (database, workers), other in rows.items():
        for kind, label in kinds.items():
            one, two = (queue_rate(results, database, workers, name, kind) for name in ("ours", other))
            where = f"{database}, {workers} worker{'s' * (workers > 1)}: {label}"
            table.append([where, number(one), f"{number(two)} ({other.title()})", number(ratio(one, two), 2)])
    return table


def streams(results: Results) -> Table:
    """The request rate with open streams, and how late events arrive."""
    table = [["open streams", "GET job/s", "× without streams", "commit to stream, median ms", "95 % ms"]]
    figures = results.get("streams", {"rates": {}})
    for name, rates in figures["rates"].items():
        late = [number(value, 1) for value in figures["late_ms"].get(name, [None, None])]
        table.append([f"{int(name):,}", number(middle(rates)), number(stream_ratio(results, int(name)), 2), *late])
    if "claim_ms" in figures:
        table.append(["a new job to a claim that waits", "", "", number(figures["claim_ms"], 1), ""])
    return table


def in_process(results: Results) -> Table:
    """Microseconds of CPU, and their ratio to the time that SQLite itself needs."""
    table = [
        ["µs of CPU", "SQLite", "repository, with models", "×", "rows to JSON", "×", "view of a REST request", "×"]
    ]
    for row in results.get("in_process", []):
        cells = [row["operation"], number(row["sqlite"])]
        for way in ("repository", "json", "view"):
            cells += [number(row[way]), number(row[way] / row["sqlite"], 1)]
        table.append(cells)
    return table


def growths(results: Results) -> Table:
    """Milliseconds at each size."""
    rows = results.get("growth", [])
    sizes = [f"{int(size):,} jobs" for size in rows[0]["ms"]] if rows else []
    table = [["median ms, one connection", *sizes, "last ÷ first"]]
    return table + [
        [row["operation"], *(number(value, 2) for value in row["ms"].values()), number(growth(row), 2)] for row in rows
    ]


def footprint(results: Results) -> Table:
    """Seconds and megabytes."""
    figures = results.get("footprint", {})
    rows = [
        [name, f"{number(figures[key], digits)} {unit}"] for key, (name, digits, unit) in FIGURES.items() if figures
    ]
    memory = [[f"memory after the load: {name}", f"{number(mb)} MB"] for name, mb in results.get("memory", {}).items()]
    return [["", "value"], *rows, *memory]


FIGURES = {
    "import_seconds": ("`from models import Job`", 2, "s"),
    "peewee_import_seconds": ("the packages that it imports, peewee and pydantic-core", 2, "s"),
    "ready_seconds": ("`python app.py` answers `/healthz`", 2, "s"),
    "rest_mb": ("memory of the web process at rest", 0, "MB"),
    "installed_mb": ("installed packages of this service, with those for sound", 0, "MB"),
    "replaced_installed_mb": ("installed packages of the replaced service, which makes no sound", 0, "MB"),
}


def goal_table(results: Results) -> Table:
    """The goals and the measured values."""
    table = [["measured against", "goal", "measured", "met"]]
    for goal in goals(results):
        sign, digits = "≥" if goal.at_least else "≤", 0 if goal.unit == "MB" else 2
        limit, value = f"{sign} {goal.limit:g} {goal.unit}", f"{number(goal.value, digits)} {goal.unit}"
        table.append([goal.name, limit, value, "yes" if goal.is_met else "**no**"])
    return table


def number(value: float | None, digits: int = 0) -> str:
    """A number for a table; empty for None."""
    return "" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
