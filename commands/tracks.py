"""`flask tracks`: lists, shows, adds and deletes tracks."""

import click

from commands.records import Kind, add_command, delete_command, list_command, show_command
from files import deletion
from repos import TrackRepository
from web import schemas
from web.api.tracks import conditions, matching_tracks

EXAMPLE = "--job-id rain --duration 30.5 --file-path-wav songs/rain.wav --metadata artist=Ada"
repo = TrackRepository()
KIND = Kind(
    name="track",
    repo=repo,
    query=schemas.TrackList,
    body=schemas.NewTrack,
    select=lambda query: (matching_tracks(query), conditions(query)),
    delete=deletion.delete_track,
    columns=("track_id", "job_id", "take", "duration", "created_at", "file_path_wav", "file_path_mp3"),
    columns_if_wide=("created_at", "file_path_mp3"),
)


@click.group()
def tracks() -> None:
    """List, show, add and delete tracks.

    Example: flask tracks list --job-id rain
    """


for command in (list_command(KIND), show_command(KIND), add_command(KIND, EXAMPLE), delete_command(KIND)):
    tracks.add_command(command)
