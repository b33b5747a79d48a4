"""`flask backup` and `flask restore`."""

import os
from pathlib import Path

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, progress
from files.child import NICENESS
from settings import get_settings


@click.command()
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@click.option("--files", is_flag=True, help="Copy the storage folder, too. The backup is then a folder.")
@json_option
@exit_with_sentence()
def backup(dest: Path | None, files: bool, as_json: bool) -> None:
    """Copy the database to DEST while the service runs, and check the copy.

    Without DEST, the backup gets a name with the time, in BACKUP_DIR or in ./backups.

    Example: flask backup /mnt/disk/before-the-update.db
    """
    from maintenance.backup import backup as make

    os.nice(NICENESS)
    with progress() as report:
        made = make(get_settings(), dest, files, report)
    assert made.manifest is not None
    if as_json:
        print_json({"path": str(made.path), **made.manifest.model_dump(mode="json", exclude={"files"})})
    else:
        counts = ", ".join(f"{number} {name}" for name, number in made.manifest.counts.items())
        number = "" if made.manifest.files is None else f", {len(made.manifest.files)} files"
        click.echo(f"{made.path} has {counts}{number}. It was opened and checked.")


@click.command()
@click.argument("src", type=click.Path(path_type=Path))
@json_option
@exit_with_sentence()
def restore(src: Path, as_json: bool) -> None:
    """Replace the database by the backup SRC, and put its files into the storage folder.

    The service and its workers must be stopped. SRC is checked first. The previous database is kept under another name.

    Example: flask restore backups/ledger-20261126T210000Z.db
    """
    from maintenance.restore import restore as replace

    with progress() as report:
        outcome = replace(get_settings(), src, report)
    if as_json:
        print_json(outcome._asdict())
        return
    click.echo(f"{src} is restored{f', with {outcome.files} files' if outcome.files else ''}.")
    if outcome.database_before:
        click.echo(f"The previous database is now {outcome.database_before}")
    if outcome.files_before:
        click.echo(f"The files that were replaced are now in {outcome.files_before}")
