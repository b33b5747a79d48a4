"""`flask archive` and `flask unarchive`: move finished jobs into another database, and back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, print_table, progress
from errors import Conflict
from models import JOB_STATUSES, microseconds, utc_now
from settings import duration

EXAMPLES = {
    "archive": "Example: flask archive --older-than 30d --to archive.db --files",
    "unarchive": "Example: flask unarchive archive.db rain",
}


class Duration(click.ParamType[timedelta]):
    """An option such as 30d, 24h or 30m; its value is a timedelta."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Read the duration. Ends the command if it cannot be read."""
        try:
            return value if isinstance(value, timedelta) else duration(value)
        except ValueError as error:
            self.fail(str(error), param, context)


@click.command(epilog=EXAMPLES["archive"])
@click.option(
    "--older-than",
    type=Duration(),
    required=True,
    help="Move jobs that have not changed for at least this time, such as 30d.",
)
@click.option("--to", "path", type=click.Path(path_type=Path), required=True, help="The SQLite file of the archive.")
@click.option("--files", is_flag=True, help="Also move the files, into a folder beside the archive.")
@click.option("--status", "statuses", type=click.Choice(JOB_STATUSES.final), multiple=True, help="Only these statuses.")
@click.option("--dry-run", is_flag=True, help="Only count the jobs.")
@json_option
@exit_with_sentence()
def archive(
    older_than: timedelta, path: Path, files: bool, statuses: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Move finished jobs, with tracks, loops and events, into another SQLite database."""
    from maintenance.archive import ledger, moves

    rule = ledger.Rule(microseconds(utc_now() - older_than), statuses or JOB_STATUSES.final)
    if dry_run:
        number = ledger.count_leaving(rule)
        print_json({"would_move": number}) if as_json else click.echo(f"would move {number} jobs")
        return
    with progress() as report:
        result = moves.archive(path, rule, files, report)
    _print(result, as_json)


@click.command(epilog=EXAMPLES["unarchive"])
@click.argument("path", metavar="FROM", type=click.Path(path_type=Path))
@click.argument("job_ids", metavar="[JOB_ID]...", nargs=-1)
@json_option
@exit_with_sentence()
def unarchive(path: Path, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Move jobs of an archive back into the ledger, with their files; without JOB_ID, all of them."""
    from maintenance.archive import moves

    with progress() as report:
        result = moves.unarchive(path, job_ids, report)
    _print(result, as_json)


def _print(result: Any, as_json: bool) -> None:
    """Print a result. Raises Conflict if some jobs stay, or if files of them are missing."""
    if as_json:
        print_json(result.as_dict())
    else:
        click.echo(f"moved {result.moved} jobs ({result.archive})")
        if result.refused:
            print_table(["job", "why it stays"], list(result.refused.items()))
        if result.missing:
            print_table(["missing file"], [[name] for name in result.missing])
    if result.refused:
        raise Conflict(f"{len(result.refused)} jobs were not moved: the output has the reason for each.")
    if result.missing:
        raise Conflict(
            f"{len(result.missing)} files are missing: they should be in the folder {result.archive}.files beside the "
            "archive. Copy them into STORAGE_DIR."
        )
