"""`watch`: shows the progress of jobs or loops while they run; bars on a terminal, a line for each change elsewhere."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from commands.failures import exit_with_sentence
from commands.output import printable
from database import bound_settings
from records.events import Feed
from records.watching import State, Watcher

if TYPE_CHECKING:
    from commands.records import Kind

WAIT_SECONDS = 1.0
INTERRUPTED = 130  # the exit code of a process that SIGINT has ended
BARS = 20  # at most, so that they fit on a terminal
Show = Callable[[list[State]], object]


def watch_command(kind: "Kind") -> click.Command:
    """`watch`: until the records with these ids have finished, or until Ctrl-C."""
    help_ = (
        f"Show the progress of the {kind.name}s with these IDs until all have finished. Without an ID, show all that "
        f"run, until Ctrl-C. With IDs, the exit code is 1 if one has failed, was cancelled or was deleted.\n\n"
        f"Example: flask {kind.name}s watch {kind.example_id}"
    )

    @click.command("watch", help=help_)
    @click.argument("ids", metavar="[ID...]", nargs=-1)
    @exit_with_sentence(needs_database=True)
    def watch(ids: tuple[str, ...]) -> None:
        feed = Feed(bound_settings(), threading.Event())
        watcher = Watcher(feed, kind.repo, ids)
        if not ids:
            click.echo(f"All {kind.name}s that run, until Ctrl-C:", err=True)
        try:
            with interruption() as interrupted:
                run(feed, watcher, interrupted)
        finally:
            feed.close()
        if interrupted.is_requested:
            sys.exit(INTERRUPTED)
        if any(state.status != kind.repo.statuses.completed for state in watcher.states.values()):
            sys.exit(1)

    return watch


class Interruption:
    """Whether Ctrl-C was pressed."""

    is_requested = False

    def request(self, number: int, frame: object) -> None:
        """Note that Ctrl-C was pressed. It is a handler of signals."""
        self.is_requested = True

    def is_stopping(self) -> bool:
        """True if Ctrl-C was pressed."""
        return self.is_requested


@contextmanager
def interruption(*others: signal.Signals) -> Iterator[Interruption]:
    """A block in which Ctrl-C is noted and raises nothing: an error raised inside a database driver could be lost.

    Other signals that would end the process count as Ctrl-C.
    """
    interrupted = Interruption()
    before = {number: signal.signal(number, interrupted.request) for number in (signal.SIGINT, *others)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(feed: Feed, watcher: Watcher, interrupted: Interruption) -> None:
    """Show every change until the named records have finished, or until Ctrl-C. Raises NotFound."""
    states = watcher.start()
    with feed.watched():
        if not sys.stdout.isatty():
            follow(watcher, states, print_lines, interrupted)
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # only commands load rich

        plain: dict[str, Any] = {"markup": False}
        columns = (TextColumn("{task.description}", **plain), BarColumn(), TaskProgressColumn())
        with Progress(*columns, TextColumn("{task.fields[doing]}", **plain)) as progress:
            follow(watcher, states, Bars(progress, watcher), interrupted)


def follow(watcher: Watcher, states: list[State], show: Show, interrupted: Interruption) -> None:
    """Call show() with the states, and then with all changes, until the named records have finished, or Ctrl-C."""
    show(states)
    while not watcher.is_over() and not interrupted.is_requested:
        show(watcher.changes(WAIT_SECONDS))


def print_lines(states: list[State]) -> None:
    """Print a line for each state."""
    for state in states:
        click.echo(f"{state.record_id}\t{state.status}\t{state.progress}%\t{printable(says(state))}")


def says(state: State) -> str:
    """What it is doing, or why it has failed."""
    return state.message or state.error or ""


class Bars:
    """A bar for each record that is followed, and a line above the bars for each one that has ended."""

    def __init__(self, progress: Any, watcher: Watcher) -> None:
        self._progress, self._watcher = progress, watcher
        self._tasks: dict[str, Any] = {}

    def __call__(self, states: list[State]) -> None:
        """Draw these states."""
        for state in states:
            if self._watcher.is_followed(state):
                self._draw(state)
            else:
                self._end(state)

    def _draw(self, state: State) -> None:
        if state.record_id not in self._tasks:
            if len(self._tasks) >= BARS:
                return
            self._tasks[state.record_id] = self._progress.add_task(state.record_id, total=100, doing="")
        doing = printable(f"{state.status}  {says(state)}")
        self._progress.update(self._tasks[state.record_id], completed=state.progress, doing=doing)

    def _end(self, state: State) -> None:
        """Replace the bar by a line that stays."""
        if state.record_id in self._tasks:
            self._progress.remove_task(self._tasks.pop(state.record_id))
        line = printable(f"{state.record_id}  {state.status}  {says(state)}").rstrip()
        self._progress.console.print(line, markup=False, highlight=False)
