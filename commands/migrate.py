"""`flask migrate`: changes the schema of the database to that of this version, or shows what would be changed."""

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, print_table


@click.command()
@click.option("--plan", "is_plan", is_flag=True, help="Show what would run, and change nothing.")
@json_option
@exit_with_sentence()
def migrate(is_plan: bool, as_json: bool) -> None:
    """Change the schema of the database to that of this version, as every start does.

    Each migration runs in a transaction of its own. If one fails or is killed, the database is as it was before it.

    Example: flask migrate --plan
    """
    from database import init_database, plan

    migrations = plan()
    if not is_plan:
        applied = init_database()
        migrations = {name: migrations.get(name, "") for name in applied}
    if as_json:
        print_json([{"migration": name, "purpose": text} for name, text in migrations.items()])
    elif migrations:
        print_table(["migration", "would do" if is_plan else "did"], list(migrations.items()))
    else:
        click.echo("The schema is up to date.")
