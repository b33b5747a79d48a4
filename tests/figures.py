"""The figures of `make soak`: printed at its end as tables for docs/safety.md."""

from typing import Any

_tables: dict[str, dict[str, Any]] = {}


def report(title: str, figures: dict[str, Any]) -> None:
    """Print these figures at the end of the run."""
    _tables[title] = figures


def lines() -> list[str]:
    """The tables, as Markdown."""
    text = []
    for title, figures in _tables.items():
        text += ["", f"{title}:", "", "| what | figure |", "|---|---|"]
        text += [
            f"| {name} | {figure:,} |" if isinstance(figure, int) else f"| {name} | {figure} |"
            for name, figure in figures.items()
        ]
    return text
