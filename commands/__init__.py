"""The commands of `flask`. Each is thin and calls maintenance, studio or repos. A failure ends it with one sentence."""

from flask import Flask

from commands.archive import archive, unarchive
from commands.check import check
from commands.legacy import import_legacy
from commands.transfer import export, import_
from commands.worker import worker

COMMANDS = (archive, check, export, import_, import_legacy, unarchive, worker)


def register(app: Flask) -> None:
    """Add the commands to an app."""
    for command in COMMANDS:
        app.cli.add_command(command)
