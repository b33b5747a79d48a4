"""The commands of `flask`: worker."""

import click


@click.command()
def worker() -> None:
    """Make the jobs that wait, one after another, until SIGTERM or Ctrl-C."""
    from studio.worker import main  # a web process never needs it

    main()
