"""Tags: what players and other programs read from the files of a track, and that the sound in them stays as it is."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from tinytag import TinyTag

from files.tagging import Untaggable, write_tags
from files.tags import Tags, words_in
from generators.timed import TimedLine
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.conftest import ROOT
from tests.sounds import wav_bytes

WORDS = {"title": "Night train 🎵", "artist": "Ада", "album": "x\ny", "genre": "Folk", "comment": "{}"}
LINES = (TimedLine(1.5, "The platform hums"), TimedLine(62.25, "a quiet key"))
SUNG = {"lyrics": "The platform hums\na quiet key", "lines": LINES}
TAGS = Tags(**WORDS, **SUNG, bpm=121, take=2, takes=4)
COVER = b"\x89PNG\r\n\x1a\n" + b"\0" * 2000
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


def encode(path: Path, tags: Tags = TAGS) -> tuple[Path, dict[str, Any], str]:
    """Run the encoder on a file. Returns the new WAV, its entry in the list of tracks, and what was printed."""
    target, listed = path.parent / "tracks", path.parent / "list.json"
    target.mkdir()
    listed.write_text(json.dumps([[str(path), tags.to_json()]]))
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
        write_tags(path, kind.lower(), TAGS)
    after, rate_after = soundfile.read(path)
    assert np.array_equal(before, after) and rate == rate_after
    tags: Any = mutagen.File(path).tags
    assert [str(tags[name]) for name in ("TIT2", "TPE1", "TALB", "TCON", "COMM::eng")] == list(WORDS.values())
    assert (str(tags["TRCK"]), str(tags["TBPM"]), str(tags["USLT::und"])) == ("2/4", "121", SUNG["lyrics"])
    assert tags["SYLT::und"].text == [("The platform hums", 1500), ("a quiet key", 62250)]


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac"])
def test_the_bytes_of_the_sound_stay_whatever_the_tags_are(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"song.{kind}"
    path.write_bytes(wav_bytes(2, kind.upper()))
    before = frames(path)
    for tags, cover in ((TAGS, COVER), (Tags(title="x"), None), (Tags(lyrics="y" * 100_000), COVER), (Tags(), None)):
        write_tags(path, kind, tags, cover)
        assert frames(path) == before and len(before) > 9_000
    assert COVER not in path.read_bytes() and b"platform" not in path.read_bytes()


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac"])
def test_another_reader_reads_the_same_tags(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"song.{kind}"
    path.write_bytes(wav_bytes(2, kind.upper()))
    write_tags(path, kind, TAGS, COVER)
    read = TinyTag.get(path, image=True)
    assert (read.title, read.artist, read.album, read.genre, read.comment) == tuple(WORDS.values())
    assert (read.track, read.track_total) == (2, 4) and read.images.front_cover.data == COVER
    assert read.other["bpm"] == ["121"] and "The platform hums" in read.other["lyrics"][0]


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe on this machine: apt install ffmpeg")
@pytest.mark.parametrize("kind", ["wav", "mp3", "flac"])
def test_ffprobe_reads_the_same_tags(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"song.{kind}"
    path.write_bytes(wav_bytes(2, kind.upper()))
    write_tags(path, kind, TAGS)
    command = ["ffprobe", "-v", "error", "-show_format", "-of", "json", str(path)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["format"]["tags"]
    read = {name.lower(): value for name, value in shown.items()}
    assert {name: read[name] for name in WORDS} == WORDS and read["track"] == ("2" if kind == "flac" else "2/4")
    assert any("The platform hums" in value for name, value in read.items() if name.startswith("lyrics"))


def test_the_lyrics_of_a_flac_have_their_times(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    path.write_bytes(wav_bytes(1, "FLAC"))
    write_tags(path, "flac", TAGS)
    tags: Any = mutagen.File(path).tags
    assert tags["lyrics"] == ["[00:01.50]The platform hums\n[01:02.25]a quiet key\n"]
    write_tags(path, "flac", Tags(lyrics="a quiet key"))
    assert mutagen.File(path).tags["lyrics"] == ["a quiet key"]


@pytest.mark.parametrize("kind", ["mp3", "flac"])
def test_texts_that_no_file_can_have_are_changed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"song.{kind}"
    path.write_bytes(wav_bytes(1, kind.upper()))
    write_tags(path, kind, Tags(title="\ud800 rain\0 x", lyrics="\udfff", lines=(TimedLine(1, "\ud800"),)))
    assert TinyTag.get(path).title == "? rain  x"


def frames(path: Path) -> bytes:
    """The bytes of a file that are sound: its chunk data, its frames of MP3 or of FLAC."""
    data = path.read_bytes()
    if path.suffix == ".wav":
        start = data.index(b"data") + 8
        return data[start : start + int.from_bytes(data[start - 4 : start], "little")]
    if path.suffix == ".mp3":
        return data[mutagen.id3.ID3(path).size if data.startswith(b"ID3") else 0 :]
    place = 4
    while True:
        is_last, length = data[place] & 0x80, int.from_bytes(data[place + 1 : place + 4])
        place += 4 + length
        if is_last:
            return data[place:]


def test_a_file_of_more_than_4_gb_gets_no_tags(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(wav_bytes(kind="RF64"))
    before = path.read_bytes()
    write_tags(path, "wav", TAGS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [*WRONG.values(), *NO_TAGS.values()], ids=[*WRONG, *NO_TAGS])
def test_a_file_that_takes_no_tags_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    with pytest.raises(Untaggable, match="song.wav gets no tags: "):
        write_tags(path, "wav", TAGS)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_wav_with_wrong_lengths_is_written_anew_with_the_same_sound(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    before, rate = soundfile.read(path, dtype="int16")
    made, track, _ = encode(path)
    after, _ = soundfile.read(made, dtype="int16")
    assert np.array_equal(before, after) and track["duration"] == len(before) / rate and made.stat().st_size < 40_000
    assert str(mutagen.File(made).tags["TIT2"]) == TAGS.title


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
    made, _, printed = encode(path, Tags(comment="x"))
    assert soundfile.info(made).format == "WAVEX" and "no tags" not in printed
    assert inode != made.stat().st_ino and made.read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ([{}], {}),
        ([{"artist": "Ada", "album": 7}], {"artist": "Ada", "album": "7"}),
        ([{"artist": ["x"], "genre": True}, {"artist": "Ada", "genre": " "}], {"artist": "Ada"}),
    ],
)
def test_a_word_is_the_first_one_that_is_a_text(metadata: Any, words: dict[str, str]) -> None:
    assert words_in(*metadata) == words


def test_tags_are_the_same_after_json() -> None:
    assert Tags.from_json(json.loads(json.dumps(TAGS.to_json()))) == TAGS
    assert Tags.from_json(Tags().to_json()) == Tags() and Tags().to_json() == {}


@pytest.mark.parametrize(("fields", "title"), [({}, "calm piano"), ({"track_name": "Train"}, "Train")])
def test_the_title_is_the_name_of_the_track_or_the_prompt(ledger: Settings, fields: Any, title: str) -> None:
    JobRepository().create(job_id="j", prompt="calm\n piano", job_type="synth", metadata={"duration": 3, **fields})
    assert JobWorker(ledger).tick(0)
    (track,) = TrackRepository().get_by_job_id("j")
    assert TinyTag.get(ledger.storage_dir / track.file_path_mp3).title == title


def test_the_files_of_a_job_say_what_made_them(ledger: Settings) -> None:
    metadata = {"duration": 3, "artist": "Ada", "parameters": {"tempo": 90}, "lyrics": "[00:01.00]Rain\n[00:02.00]Sun"}
    job = JobRepository().create(prompt="calm piano", job_type="synth", metadata=metadata, seed=7)
    assert JobWorker(ledger).tick(0)
    (track,) = TrackRepository().get_by_job_id(job.job_id)
    for name in (track.file_path_wav, track.file_path_mp3):
        tags: Any = mutagen.File(ledger.storage_dir / name).tags
        assert json.loads(str(tags["COMM::eng"])) == {"generator": "synth", "seed": 7, "parameters": {"tempo": 90}}
        assert (str(tags["TRCK"]), str(tags["USLT::und"])) == ("1/1", "Rain\nSun")
        assert tags["SYLT::und"].text == [("Rain", 1000), ("Sun", 2000)]
