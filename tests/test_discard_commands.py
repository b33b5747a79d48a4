"""`flask jobs discard` and `flask discards undo`."""

from typing import Any

import pytest

from commands.discards import discards
from commands.jobs import jobs
from models import Track
from repos import TrackRepository
from tests.test_record_commands import lines, run

tracks = TrackRepository()


@pytest.fixture
def kind() -> str:
    """The commands are the same on both databases."""
    return "sqlite"


@pytest.fixture
def takes(track: Track) -> Track:
    """Two tracks of job-1, of which the second has a star."""
    return tracks.create(track_id="track-2", job_id="job-1", starred=True)


def test_tracks_are_discarded_and_come_back(takes: Track) -> None:
    result = run(jobs, "discard", "job-1")
    discard_id, _, outcome = result.stdout.partition("\t")
    assert (result.exit_code, outcome) == (0, "1 track deleted\n") and Track.select().count() == 1
    assert run(discards, "undo", discard_id).stdout == f"{discard_id}\t1 track back\n"
    assert Track.select().count() == 2


def test_the_commands_print_the_json_of_rest(takes: Track) -> None:
    made: Any = lines(run(jobs, "discard", "job-1", "--json"))[0]
    assert (made["state"], made["tracks"], made["job_id"]) == ("waiting", 1, "job-1")
    assert lines(run(discards, "undo", made["discard_id"], "--json")) == [{**made, "state": "undone"}]


def test_a_refusal_is_a_sentence(takes: Track) -> None:
    tracks.update("track-2", starred=False)
    for group, arguments, sentence in (
        (jobs, ("discard", "job-1"), "job-1: no track of job job-1 has a star"),
        (jobs, ("discard", "nobody"), "nobody: there is no such job"),
        (discards, ("undo", "é"), "é: there is no such discard"),
    ):
        result = run(group, *arguments)
        assert result.exit_code == 1 and result.stderr.startswith(sentence)
