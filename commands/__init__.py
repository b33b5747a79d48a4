"""The commands of `flask`. Each is thin and calls maintenance, studio or repos. A failure ends it with one sentence."""

from flask import Flask

from commands.archive import archive, unarchive
from commands.backup import backup, restore
from commands.check import check
from commands.discards import discards
from commands.generators import generators
from commands.jobs import jobs
from commands.legacy import import_legacy
from commands.loops import loops
from commands.migrate import migrate
from commands.tokens import token
from commands.tracks import tracks
from commands.transfer import export, import_
from commands.worker import worker

COMMANDS = (
    jobs,
    tracks,
    loops,
    discards,
    generators,
    token,
    worker,
    backup,
    restore,
    migrate,
    export,
    import_,
    import_legacy,
    archive,
    unarchive,
    check,
)


def register(app: Flask) -> None:
    """Add the commands to an app."""
    for command in COMMANDS:
        app.cli.add_command(command)
