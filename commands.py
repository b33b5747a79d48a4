"""The commands of `flask`. An error ends a command with one sentence."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask

from errors import CannotStart


def register(app: Flask) -> None:
    """Add the commands to an app."""
    app.cli.add_command(worker)


@contextmanager
def exit_with_sentence() -> Iterator[None]:
    """Turn CannotStart into its sentence and exit code 1 inside a command of `flask`; raise it everywhere else."""
    try:
        yield
    except CannotStart as error:
        if click.get_current_context(silent=True) is None:
            raise
        sys.exit(str(error))


@click.command()
@click.option("--jobs", is_flag=True, help="Make jobs alone.")
@click.option("--loops", is_flag=True, help="Cut loops alone.")
@exit_with_sentence()
def worker(jobs: bool, loops: bool) -> None:
    """Make pending jobs and cut pending loops, side by side, until SIGTERM or Ctrl-C."""
    from studio.worker import main  # here, because a web process never needs this module

    both = jobs == loops
    main([kind for kind, is_chosen in (("jobs", jobs), ("loops", loops)) if is_chosen or both])
