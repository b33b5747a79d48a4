"""`flask import-legacy`: takes over the database and the audio of the service that this one replaces."""

from dataclasses import asdict
from pathlib import Path

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, print_table, progress

LISTED = 50  # odd rows in the table


@click.command("import-legacy")
@click.argument("old", metavar="OLD.db", type=click.Path(path_type=Path))
@click.option(
    "--files", metavar="FROM", type=click.Path(path_type=Path), help="Copy the audio files in this folder, too."
)
@json_option
@exit_with_sentence()
def import_legacy(old: Path, files: Path | None, as_json: bool) -> None:
    """Bring all jobs, tracks and loops of the old SQLAlchemy service into this one.

    The old database is only read. Every row arrives or is listed with the reason. Running it again adds no records.
    With --files, records that have arrived before and have no files get them.

    \b
    Example:
      flask import-legacy /srv/old/jobs.db --files /srv/old/output
    """
    from files.storage import Storage
    from maintenance.legacy.takeover import NUMBERS, take_over

    with progress() as report:
        result = take_over(old, Storage(), files, report)
    if as_json:
        print_json(asdict(result))
        return
    print_table(["table", *NUMBERS], [[table, *numbers.values()] for table, numbers in result.tables.items()])
    click.echo(f"Files: {result.files['copied']} copied, {result.files['missing']} not there.")
    if result.odd:
        print_table(list(result.odd[0]), [list(row.values()) for row in result.odd[:LISTED]])
    if len(result.odd) > LISTED:
        click.echo(f"… and {len(result.odd) - LISTED} more rows: --json lists all.")
