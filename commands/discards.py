"""`flask jobs discard` and `flask discards undo`: delete the tracks of jobs that have no star, and bring them back."""

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json
from commands.records import for_each, ids_argument
from database import bound_settings
from errors import NotFound
from files.discards import discard_job
from files.storage import Storage
from models import Discard
from records.discards import undo
from web.actions import shown


@click.command()
@ids_argument
@json_option
@exit_with_sentence(needs_database=True)
def discard(ids: tuple[str, ...], as_json: bool) -> None:
    """Delete all tracks of jobs that have no star. Prints the id with which `flask discards undo` brings them back.

    A running service removes their files after ten seconds. Then they cannot come back.

    Example: flask jobs discard rain
    """
    storage = Storage(bound_settings())

    def discard_one(job_id: str) -> None:
        made = discard_job(storage, job_id) if job_id.isascii() else None
        if made is None:
            raise NotFound("there is no such job")
        _print(made, as_json)

    for_each(ids, discard_one)


@click.group()
def discards() -> None:
    """Bring tracks back that were deleted by `flask jobs discard`, by a page or over REST.

    Example: flask discards undo 019c0000-0000-7000-8000-000000000000
    """


@discards.command("undo")
@ids_argument
@json_option
@exit_with_sentence(needs_database=True)
def undo_discards(ids: tuple[str, ...], as_json: bool) -> None:
    """Bring the tracks of discards back, with their loops.

    Example: flask discards undo 019c0000-0000-7000-8000-000000000000
    """

    def undo_one(discard_id: str) -> None:
        undone = undo(discard_id) if discard_id.isascii() else None
        if undone is None:
            raise NotFound("there is no such discard, or its files are gone")
        _print(undone, as_json)

    for_each(ids, undo_one)


def _print(made: Discard, as_json: bool) -> None:
    """Print a discard: its id, what happened, and the number of its tracks."""
    if as_json:
        print_json(shown(made))
    else:
        verb = "deleted" if made.state == "waiting" else "back"
        click.echo(f"{made.discard_id}\t{made.tracks} track{'s' if made.tracks != 1 else ''} {verb}")
