"""Tags: what players and other programs read from the files of a track, and that the sound in them stays as it is."""

import json
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile

from files.tags import write_tags
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.tags import tags_of
from studio.worker import JobWorker
from tests.sounds import wav_bytes

TAGS = {"title": "Night train 🎵", "artist": "Ада", "album": "x\ny", "genre": "Folk", "comment": "{}"}


@pytest.mark.parametrize("kind", ["WAV", "MP3"])
def test_tags_are_read_by_others_and_the_sound_stays(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"song.{kind.lower()}"
    path.write_bytes(wav_bytes(kind=kind))
    before, rate = soundfile.read(path)
    for _ in range(2):
        write_tags(path, TAGS)
    after, rate_after = soundfile.read(path)
    assert np.array_equal(before, after) and rate == rate_after
    tags: Any = mutagen.File(path).tags
    assert [str(tags[name]) for name in ("TIT2", "TPE1", "TALB", "TCON", "COMM::eng")] == list(TAGS.values())


def test_a_file_of_more_than_4_gb_gets_no_tags(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(wav_bytes(kind="RF64"))
    before = path.read_bytes()
    write_tags(path, TAGS)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("metadata", "title", "artist"),
    [
        ({}, "folk ballad", None),
        ({"track_name": "Train", "artist": "Ada"}, "Train", "Ada"),
        ({"artist": ["x"]}, "folk ballad", None),
    ],
)
def test_the_title_is_the_name_of_the_track_or_the_prompt(metadata: Any, title: str, artist: str | None) -> None:
    tags = tags_of("folk\n ballad", metadata, {"generator": "own", "seed": 0, "version": None})
    assert (tags["title"], tags.get("artist")) == (title, artist)
    assert json.loads(tags["comment"]) == {"generator": "own", "seed": 0}


def test_the_files_of_a_job_say_what_made_them(ledger: Settings) -> None:
    metadata = {"duration": 3, "artist": "Ada", "parameters": {"tempo": 90}}
    job = JobRepository().create(prompt="calm piano", job_type="synth", metadata=metadata, seed=7)
    assert JobWorker(ledger).tick(0)
    (track,) = TrackRepository().get_by_job_id(job.job_id)
    for name in (track.file_path_wav, track.file_path_mp3):
        tags: Any = mutagen.File(ledger.storage_dir / name).tags
        assert json.loads(str(tags["COMM::eng"])) == {"generator": "synth", "seed": 7, "parameters": {"tempo": 90}}
