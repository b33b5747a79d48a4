"""`flask check`: says what is wrong with the ledger, and repairs what can be repaired without deleting anything."""

import sys

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, print_table, progress


@click.command(epilog="Example: flask check --fix")
@click.option("--fix", "is_fixed", is_flag=True, help="Repair what can be repaired. Nothing is deleted.")
@json_option
@exit_with_sentence()
def check(is_fixed: bool, as_json: bool) -> None:
    """Check the database, the files and the archives. The exit code is 1 if there is a fault that is not repaired."""
    from maintenance import check as checking

    with progress() as report:
        faults = checking.check(report)
    repaired = set(checking.fix(faults)) if is_fixed else set()
    if as_json:
        print_json({"faults": [{**fault.as_dict(), "repaired": fault in repaired} for fault in faults]})
    elif faults:
        rows = [(fault.name, fault.about, "repaired" if fault in repaired else fault.advice) for fault in faults]
        print_table(["fault", "about", "what to do"], rows)
    else:
        click.echo("no fault")
    sys.exit(len(repaired) < len(faults))
