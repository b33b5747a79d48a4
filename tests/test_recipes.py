"""Every recipe of recipes/ can be read, and what it writes and runs is what the generator's stand-in takes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import soundfile

from generators import rendered, templates
from generators.catalogue import catalogue
from generators.orders import order_of
from generators.progress import ProgressReader
from generators.recipe import Recipe
from settings import Settings
from tests.repositories import COMMANDS, NAMES, RECIPES, lay_out_all, run
from tests.sounds import wav_bytes

PROMPT = '--folk, "guitar" {x} $(y) 民谣 🎧'
LYRICS = "[00:10.00]one\n[00:20.00]--two\n[00:30.00]three"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user who has installed every generator and copied every recipe."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return lay_out_all(tmp_path).parent


def recipe_of(home: Path, name: str) -> Recipe:
    """The recipe of this name in the user's file."""
    return catalogue(Settings(_env_file=None, generators=home / "generators.toml"))[name]


class Take:
    """One take by a recipe, without a worker: its files, its command line, and what arrived."""

    def __init__(self, home: Path, name: str, reference: bool = False, **metadata: Any) -> None:
        self.recipe, self.work, self.out = recipe_of(home, name), home / "work", home / "work" / "out"
        self.out.mkdir(parents=True)
        (self.work / "reference.wav").write_bytes(wav_bytes(11))
        reference = reference or name == "songbloom"  # which needs one
        metadata |= {"reference_track": "t"} if reference else {}
        order = order_of(self.recipe, PROMPT.replace(" ", "") if name == "yue" else PROMPT, metadata)
        (self.work / "lyrics.txt").write_text(order.lyrics)
        self.values = {
            **order.values(), **rendered.paths(self.recipe, self.work), "seed": 7, "take": 1, "takes": 1,
            "output_dir": str(self.out), "lyrics_file": str(self.work / "lyrics.txt"), "job_id": "j",
            "reference_file": str(self.work / "reference.wav") if reference else "",
        }  # fmt: skip
        rendered.write(self.recipe, self.work, [self.values])

    def run(self) -> str:
        """Run its command line; returns what it printed."""
        assert self.recipe.command and self.recipe.folder
        words = templates.fill(self.recipe.command, self.values)
        env = {key: word.text(self.values) for key, word in self.recipe.env.items()}
        record = {"STANDIN_RECORD": str(self.work / "record.json")}
        root = Path(words[0]).parents[2]
        done = run(root, *words, cwd=self.recipe.folder, **env | record)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def made(self) -> list[Path]:
        """The files that the recipe takes for its output."""
        found = {path for glob in self.recipe.outputs for path in self.out.glob(glob)}
        return sorted(found - {path for glob in self.recipe.not_outputs for path in self.out.glob(glob)})

    def record(self) -> dict[str, Any]:
        """What arrived."""
        content: dict[str, Any] = json.loads((self.work / "record.json").read_text())
        return content


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_can_be_read(home: Path, name: str) -> None:
    recipe = recipe_of(home, name)
    assert recipe.gpu and recipe.timeout and recipe.licence and recipe.version
    assert recipe.is_warm == (name not in COMMANDS)


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_a_recipe_says_its_commit_its_place_and_what_was_not_run(name: str) -> None:
    head = (RECIPES / f"{name}.toml").read_text().partition("\n\n")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert all(word in head for word in ("https://github.com/", " at ", "Place:", "Licence:", "Tested", "Not run:"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stand_in_makes_one_song_by_its_recipe(home: Path, name: str) -> None:
    take = Take(home, name, lyrics=LYRICS, duration=100)
    take.run()
    [song] = take.made()
    assert abs(soundfile.read(song)[0]).max() > 0.1
    assert [path for path in take.out.rglob("*") if path.suffix in (".flac", ".mp3", ".wav")] == [song] or name == "yue"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_line_of_the_lyrics_is_sung(home: Path, name: str) -> None:
    take = Take(home, name, lyrics=LYRICS, duration=100)
    take.run()
    record = take.record()
    sung = json.dumps([record.get("sung"), record.get("songs")]).lower()
    assert all(word in sung for word in ("one", "two", "three"))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "songbloom"])
def test_the_prompt_arrives_as_it_is(home: Path, name: str) -> None:
    take = Take(home, name, lyrics=LYRICS)
    take.run()
    arrived = json.dumps(take.record(), ensure_ascii=False).lower()
    assert json.dumps(take.values["prompt"], ensure_ascii=False)[1:-1].lower() in arrived


def test_the_seed_and_the_parameters_arrive(home: Path) -> None:
    take = Take(home, "ace_step", lyrics=LYRICS, parameters={"bpm": 120, "inference_steps": 32})
    take.run()
    song = take.record()["song"]
    assert (song["seeds"], song["bpm"], song["inference_steps"], song["batch_size"]) == ([7], 120, 32, 1)
    assert not take.record()["uses_language_model"] and song["reference_audio"] is None


@pytest.mark.parametrize("name", ["ace_step", "songgeneration", "songbloom", "yue"])
def test_a_reference_arrives_where_a_generator_takes_one(home: Path, name: str) -> None:
    take = Take(home, name, reference=True, lyrics=LYRICS)
    take.run()
    arrived = json.dumps(take.record())
    assert "reference.wav" in arrived or take.record()["songs"][0]["reference_seconds"] == 10


LINES = [
    ("diffrhythm", "Loading checkpoint shards: 100%|####| 4/4 [00:02<00:00]", None, None),
    ("diffrhythm", "inference cost 12.34 seconds", "exporting", 100),
    ("diffrhythm2", " 45%|####      | 9/20 [00:01<00:00,  7.52it/s]", "generating_audio", 45),
    ("ace_step", "--- Starting Generation ---", "generating_audio", None),
    ("yue", "Stage1 inference...:  33%|###       | 1/3 [00:01<00:02]", "generating_audio", 33),
    ("yue", "Stage 2 DONE.", "exporting", None),
    ("heartmula", " 12%|#         | 178/1500 [00:01<00:00,  7.52it/s]", "generating_audio", 12),
    ("heartmula", "Generated music saved to made/song.wav", "exporting", None),
    ("songgeneration", "use generate_lowmem", "loading_model", None),
]


@pytest.mark.parametrize(("name", "line", "status", "percent"), LINES)
def test_a_recipe_reads_what_its_generator_prints(
    home: Path, name: str, line: str, status: str | None, percent: int | None
) -> None:
    reader = ProgressReader(recipe_of(home, name))
    assert (reader.status_of(line), reader.percent_of(line)) == (status, percent)


def test_the_paths_of_an_adapter_exist(home: Path) -> None:
    for name in ("diffrhythm_warm", "stable_audio_open", "musicgen"):
        words = templates.fill(recipe_of(home, name).serve or [], {})
        assert words[1].endswith("_serve.py") and all(os.path.exists(word) for word in words[:2])
