"""The commands of `flask`: worker."""

import sys

import click
from flask import Flask

from errors import CannotStart


def register(app: Flask) -> None:
    """Add the commands to an app."""
    app.cli.add_command(worker)


@click.command()
@click.option("--jobs", is_flag=True, help="Make jobs alone.")
@click.option("--loops", is_flag=True, help="Cut loops alone.")
def worker(jobs: bool, loops: bool) -> None:
    """Make the jobs and cut the loops that wait, side by side, until SIGTERM or Ctrl-C."""
    from studio.worker import main  # a web process never needs it

    both = jobs == loops
    try:
        main([kind for kind, wanted in (("jobs", jobs), ("loops", loops)) if wanted or both])
    except CannotStart as error:
        sys.exit(str(error))
