"""`flask tracks`: lists, shows, adds, names, stars and deletes tracks."""

from typing import Any

import click

from commands.failures import exit_with_sentence
from commands.output import json_option
from commands.records import (
    Kind,
    add_command,
    delete_command,
    for_each,
    ids_argument,
    list_command,
    options_named,
    print_created,
    show_command,
)
from errors import NotFound
from files import deletion
from repos import TrackRepository
from web import schemas
from web.api.tracks import conditions, matching_tracks
from web.texts import fields_of

EXAMPLE = "--job-id rain --duration 30.5 --file-path-wav songs/rain.wav --metadata artist=Ada"
repo = TrackRepository()
KIND = Kind(
    name="track",
    repo=repo,
    query=schemas.TrackList,
    body=schemas.NewTrack,
    select=lambda query: (matching_tracks(query), conditions(query)),
    delete=deletion.delete_track,
    columns=("track_id", "job_id", "take", "starred", "title", "duration", "created_at", "file_path_wav"),
    columns_if_wide=("created_at", "file_path_wav"),
)


@click.group()
def tracks() -> None:
    """List, show, add, name, star and delete tracks.

    Example: flask tracks list --job-id rain
    """


def star_command(verb: str, purpose: str, starred: bool) -> click.Command:
    """`star` or `unstar`."""

    @click.command(verb, help=f"{purpose}\n\nExample: flask tracks {verb} ID")
    @ids_argument
    @json_option
    @exit_with_sentence(needs_database=True)
    def change(ids: tuple[str, ...], as_json: bool) -> None:
        _change(ids, {"starred": starred}, as_json)

    return change


@tracks.command("title")
@click.argument("track_id", metavar="ID")
@click.argument("title", required=False)
@json_option
@exit_with_sentence(needs_database=True)
def title(track_id: str, title: str | None, as_json: bool) -> None:
    """Give a track a title; without a title, take it away.

    Example: flask tracks title ID "Night train"
    """
    _change([track_id], {"title": title}, as_json)


def _change(ids: Any, changes: dict[str, Any], as_json: bool) -> None:
    """Change tracks, and print their ids."""
    with options_named():
        fields = fields_of(schemas.TrackPatch, changes)

    def change_one(record_id: str) -> None:
        row = repo.update_row(record_id, fields) if record_id.isascii() else None
        if row is None:
            raise NotFound("there is no such track")
        print_created(KIND, [row], as_json)

    for_each(ids, change_one)


for command in (
    list_command(KIND),
    show_command(KIND),
    add_command(KIND, EXAMPLE),
    star_command("star", "Give tracks a star.", starred=True),
    star_command("unstar", "Take the star of tracks away.", starred=False),
    delete_command(KIND),
):
    tracks.add_command(command)
