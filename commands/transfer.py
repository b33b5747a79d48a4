"""`flask export` and `flask import`: all records as one file, out of one database and into another."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, progress
from database.ledger.tables import LAST_MOMENT
from models import microseconds

PLURALS = {
    "deleted": "deleted",
    "job": "jobs",
    "track": "tracks",
    "loop": "loops",
    "event": "events",
    "delivery": "unsent webhooks",
}


def _moment(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """The microseconds since 1970 of an option."""
    if text is None:
        return None
    with suppress(ValueError):
        since = microseconds(datetime.fromisoformat(text))
        if 0 <= since <= LAST_MOMENT:
            return since
    raise click.BadParameter(f"{text!r} is not a time from 1970 to 9999: expected one such as 2026-11-26T20:00:00Z.")


@click.command("export")
@click.argument("file", default="-", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--since", metavar="MOMENT", callback=_moment, help="Only what has changed at this moment or later.")
@exit_with_sentence()
def export(file: str, since: int | None) -> None:
    """Write all records, events and unsent webhooks to FILE (default: stdout) as JSON Lines.

    The service may run. Both databases write the same file for the same records.

    \b
    Example:
      flask export ledger.jsonl
      flask export --since 2026-11-26T20:00:00Z changes.jsonl
    """
    from maintenance.transfer import exporting

    with progress() as report:
        if file == "-":
            with open(1, "wb", closefd=False) as out:
                summary = exporting.export(out, since, report)
        else:
            summary = exporting.export_to_file(Path(file), since, report)
    next_since = summary.pop("next_since")
    counts = ", ".join(f"{PLURALS[kind]} {number}" for kind, number in summary.items() if number or kind != "deleted")
    click.echo(f"Exported: {counts}. For the next increment: --since {next_since}", err=True)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@json_option
@exit_with_sentence()
def import_(file: BinaryIO, as_json: bool) -> None:
    """Read the file of `flask export` into the database. FILE may be - for stdin.

    It imports everything or nothing. Importing a file again changes nothing.
    Increments (export --since) do not have what was imported: export everything once after an import.

    \b
    Example:
      flask import ledger.jsonl
    """
    from maintenance.transfer import importing

    with progress() as report:
        numbers = importing.import_file(file, report)
    if as_json:
        print_json(numbers)
    else:
        click.echo("Imported: " + ", ".join(f"{number} {name}" for name, number in numbers.items()) + ".")
