"""The commands of `flask`: worker."""

import click


@click.command()
@click.option("--jobs", is_flag=True, help="Make jobs alone.")
@click.option("--loops", is_flag=True, help="Cut loops alone.")
def worker(jobs: bool, loops: bool) -> None:
    """Make the jobs and cut the loops that wait, side by side, until SIGTERM or Ctrl-C."""
    from studio.worker import main  # a web process never needs it

    both = jobs == loops
    main([kind for kind, wanted in (("jobs", jobs), ("loops", loops)) if wanted or both])
