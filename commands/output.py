"""What a command prints: JSON or a table on stdout, progress on stderr (a bar on a terminal, lines elsewhere)."""

import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from database import to_json
from maintenance.reports import Report

LINE_SECONDS = 10.0  # between two lines about the same work
WIDE = 120  # columns of a terminal
LEAST_WIDTH = 10  # of the last column of a list

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@contextmanager
def progress() -> Iterator[Report]:
    """A Report that draws a bar for each kind of work on a terminal, and prints lines elsewhere."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console  # only commands load rich
    from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

    tasks: dict[str, TaskID] = {}
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def draw(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total)

        yield draw


class Lines:
    """A Report that prints a line when work begins, every ten seconds, and when it is done."""

    def __init__(self) -> None:
        self._printed: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Print a line, if it is time for one."""
        now = time.monotonic()
        if what not in self._printed or done >= total or now - self._printed[what] >= LINE_SECONDS:
            self._printed[what] = now
            click.echo(f"{what}: {done} of {total}", err=True)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(to_json(value))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], is_list: bool = False) -> None:
    """Print rows as a table: framed and fitted to a terminal, and as tab-separated text elsewhere.

    is_list: on a terminal each row has one line, and the last column is cut to the width that is left.
    """
    if not sys.stdout.isatty():
        for row in [headings, *rows]:
            click.echo("\t".join(printables(row)))
        return
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, table = Console(), Table(*headings)
    table.columns[0].no_wrap = True  # an id that is broken into two lines cannot be copied
    if is_list:
        others = [max(map(cell_len, texts)) for texts in zip(headings, *map(printables, rows), strict=True)][:-1]
        frame = 3 * len(headings) + 1
        table.columns[-1].max_width = max(LEAST_WIDTH, console.width - sum(others) - frame)
        for column in table.columns:
            column.no_wrap = True
    for row in rows:
        table.add_row(*map(Text, printables(row)))
    console.print(table)


def is_narrow() -> bool:
    """True on a terminal that has no room for every column of a list."""
    return sys.stdout.isatty() and shutil.get_terminal_size().columns < WIDE


def printables(row: Sequence[object]) -> list[str]:
    """The values of a row, each as printable() returns it."""
    return [printable(value) for value in row]


def printable(value: object) -> str:
    """The value in one line, without control characters: a terminal would obey those in a prompt of somebody else."""
    text = "".join(" " if unicodedata.category(character) == "Cc" else character for character in str(value))
    return text.encode("utf-8", "replace").decode()
