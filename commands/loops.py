"""`flask loops`: lists, shows, adds, cancels, retries, deletes and watches loops."""

import click

from commands.records import Kind, add_command, change_command, delete_command, list_command, show_command
from commands.watch import watch_command
from files import deletion
from repos import LoopRepository
from web import schemas
from web.api.loops import conditions

EXAMPLE = "--track-id ID --duration 120 --format MP3"
repo = LoopRepository()
KIND = Kind(
    name="loop",
    repo=repo,
    query=schemas.LoopList,
    body=schemas.NewLoop,
    select=lambda query: (repo, conditions(query)),
    delete=deletion.delete_loop,
    columns=(
        *("loop_id", "track_id", "status", "progress", "duration", "bars", "format"),
        *("analysis.quality", "created_at"),
    ),
    columns_if_wide=("track_id", "created_at"),
)


@click.group()
def loops() -> None:
    """List, show, add, cancel, retry, delete and watch loops.

    Example: flask loops list --status FAILED
    """


for command in (
    list_command(KIND),
    show_command(KIND),
    add_command(KIND, EXAMPLE),
    change_command(KIND, "cancel", "Cancel loops. A loop that is being cut ends when its worker notices."),
    change_command(KIND, "retry", "Put loops that failed or were cancelled back into the queue."),
    delete_command(KIND),
    watch_command(KIND),
):
    loops.add_command(command)
