"""Tags: what players and other programs read from the files of a track, and that the sound in them stays as it is."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile

from files.tags import Untaggable, write_tags
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.tags import tags_of
from studio.worker import JobWorker
from tests.conftest import ROOT
from tests.sounds import wav_bytes

TAGS = {"title": "Night train 🎵", "artist": "Ада", "album": "x\ny", "genre": "Folk", "comment": "{}"}
WAV = wav_bytes()
PCM = WAV[44:]
ID3 = b"id3 \x0a\0\0\0"


def wav(riff: int, data: int, sound: bytes = PCM) -> bytes:
    """A WAV with these lengths in its header."""
    return b"RIFF" + struct.pack("<I", riff) + WAV[8:40] + struct.pack("<I", data) + sound


def whole(tail: bytes) -> bytes:
    """A WAV with one more chunk, and right lengths."""
    return wav(len(WAV) + len(tail) - 8, len(PCM)) + tail


WRONG = {
    "a pipe of ffmpeg": wav(2**32 - 1, 2**32 - 1),
    "a pipe of sox": wav(2**31 - 1, 2**31 - 4096),
    "not closed": wav(8, 0),
    "only the sound is counted": wav(0, len(PCM)),
    "cut off": WAV[:-4000],
    "bytes that belong to no chunk": WAV + b"xyz",
    "a chunk that is cut off": WAV + b"LIST\xff\xff\0\0INFO",
}
NO_TAGS = {
    "an unknown ID3": whole(ID3 + b"ID3\x09\0\0\0\0\0\0"),
    "an ID3 that is cut off": whole(b"id3 \x0c\0\0\0ID3\4\0\0\0\0\x7f\x7f\0\0"),
}


def encode(path: Path, tags: Any = TAGS) -> tuple[Path, dict[str, Any], str]:
    """Run the encoder on a file. Returns the new WAV, its entry in the list of tracks, and what was printed."""
    target, listed = path.parent / "tracks", path.parent / "list.json"
    target.mkdir()
    listed.write_text(json.dumps([[str(path), tags]]))
    command = [sys.executable, "-m", "studio.encoder", str(target), str(listed)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"})
    assert ended.returncode == 0, ended.stderr
    [track] = json.loads((target / "tracks.json").read_text())
    assert not [name for name in target.iterdir() if name.name.startswith(".")]
    return target / track["files"]["wav"]["name"], track, ended.stdout


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


@pytest.mark.parametrize("content", [*WRONG.values(), *NO_TAGS.values()], ids=[*WRONG, *NO_TAGS])
def test_a_file_that_takes_no_tags_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    with pytest.raises(Untaggable, match="song.wav gets no tags: "):
        write_tags(path, TAGS)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_wav_with_wrong_lengths_is_written_anew_with_the_same_sound(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    before, rate = soundfile.read(path, dtype="int16")
    made, track, _ = encode(path)
    after, _ = soundfile.read(made, dtype="int16")
    assert np.array_equal(before, after) and track["duration"] == len(before) / rate and made.stat().st_size < 40_000
    assert str(mutagen.File(made).tags["TIT2"]) == TAGS["title"]


@pytest.mark.parametrize("content", NO_TAGS.values(), ids=NO_TAGS)
def test_a_take_whose_file_takes_no_tags_is_kept(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    made, track, printed = encode(path)
    assert made.read_bytes() == content and track["duration"] == 1
    assert "song.wav gets no tags: " in printed


def test_a_file_with_a_second_name_is_copied(tmp_path: Path) -> None:
    path, second = tmp_path / "song.wav", tmp_path / "mine.wav"
    path.write_bytes(NO_TAGS["an unknown ID3"])
    second.hardlink_to(path)
    made, _, _ = encode(path)
    assert made.read_bytes() == second.read_bytes() and not made.samefile(second)


def test_a_whole_wav_is_not_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(wav_bytes(kind="WAVEX"))
    inode = path.stat().st_ino
    made, _, printed = encode(path, {"comment": "x"})
    assert soundfile.info(made).format == "WAVEX" and "no tags" not in printed
    assert inode != made.stat().st_ino and made.read_bytes().startswith(b"RIFF")


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
