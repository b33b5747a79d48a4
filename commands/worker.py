"""`flask worker`: a worker alone, for a machine without a web process."""

import click

from commands.failures import exit_with_sentence


@click.command()
@click.option("--jobs", is_flag=True, help="Make jobs alone.")
@click.option("--loops", is_flag=True, help="Cut loops alone.")
@exit_with_sentence()
def worker(jobs: bool, loops: bool) -> None:
    """Make pending jobs and cut pending loops, side by side, until SIGTERM or Ctrl-C.

    Example: flask worker --jobs
    """
    from studio.worker import main  # here, because a web process never needs this module

    both = jobs == loops
    main([kind for kind, is_chosen in (("jobs", jobs), ("loops", loops)) if is_chosen or both])
