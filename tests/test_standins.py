"""The stand-ins behave as the generators do: their options, their files, and their traps."""

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import soundfile

from tests.repositories import RECIPES, REPOSITORIES, lay_out, run
from tests.sounds import wav_bytes

PYTHON = ".venv/bin/python"
LRC = "[00:10.00]first\n[00:12]dropped\n[00:20.00]second\n[00:30.00]last\n"
SECTIONS = "[verse]\none\n\n[chorus]\ntwo\n\n[outro]\nthree\n"
COMMANDS = {
    "diffrhythm": "infer/infer.py --lrc-path {in}/song.lrc --ref-prompt folk --output-dir {out}",
    "diffrhythm2": "inference.py --repo-id ASLP-lab/DiffRhythm2 --input-jsonl {in}/rows2.jsonl --output-dir {out}",
    "ace_step": "cli.py -c {in}/song.toml",
    "yue": "infer.py --genre_txt {in}/genre.txt --lyrics_txt {in}/sections.txt --output_dir {out}",
    "heartmula": "examples/run_music_generation.py --model_path ./ckpt --lyrics {in}/sections.txt --tags {in}/genre.txt"
    " --save_path {out}/song.mp3",
    "songgeneration": "generate.py --ckpt_path songgeneration_base_new --input_jsonl {in}/levo.jsonl --save_dir {out}",
    "songbloom": "infer.py --input-jsonl {in}/bloom.jsonl --output-dir {out}",
}
MADE = {
    "diffrhythm": ["output.wav"], "diffrhythm2": ["a.mp3", "b.mp3"], "heartmula": ["song.mp3"],
    "songgeneration": ["audios/a.flac", "audios/b.flac"], "songbloom": ["a_s0.flac", "a_s1.flac"],
}  # fmt: skip
FILES_OF_ROWS = {"diffrhythm2": "rows2.jsonl", "songgeneration": "levo.jsonl", "songbloom": "bloom.jsonl"}


class Bench:
    """One laid-out repository with a folder of input and a folder of output."""

    def __init__(self, home: Path, name: str) -> None:
        self.name, self.folder = name, lay_out(home, name)
        self.given, self.out = home / "in", home / "out"
        self.given.mkdir()
        self.out.mkdir()
        self.cwd = self.folder / "inference" if name == "yue" else self.folder
        write_input(self.given, self.out)

    def start(self, more: str = "", cwd: Path | None = None, **changes: str) -> CompletedProcess[str]:
        """Run the usual command and more words."""
        words = f"{COMMANDS[self.name]} {more}".format(**{"in": self.given, "out": self.out}).split()
        nltk = {"NLTK_DATA": "SongBloom/g2p/cn_zh_g2p/nltk_data"} if self.name == "songbloom" else {}
        record = {"STANDIN_RECORD": str(self.given / "record.json")}
        words[0] = str(self.cwd / words[0])
        return run(self.folder, str(self.folder / PYTHON), *words, cwd=cwd or self.cwd, **record | nltk | changes)

    def made(self) -> list[str]:
        """The audio files of the output folder and its subfolders."""
        paths = [path for path in self.out.rglob("*") if path.suffix in (".wav", ".flac", ".mp3")]
        return sorted(str(path.relative_to(self.out)) for path in paths)

    def record(self) -> dict[str, Any]:
        """What arrived."""
        content: dict[str, Any] = json.loads((self.given / "record.json").read_text())
        return content


def write_input(given: Path, out: Path) -> None:
    """The files that the usual commands name."""
    rows = [{"song_name": name, "style_prompt": "folk", "lyrics": f"{given}/tags.txt"} for name in ("a", "b")]
    levo = [{"idx": name, "gt_lyric": "[verse] One. ; [chorus] Two.", "descriptions": "Folk"} for name in ("a", "b")]
    bloom = [{"idx": "a", "lyrics": "[verse] One. Two , [chorus] Three.", "prompt_wav": f"{given}/reference.wav"}]
    (given / "song.lrc").write_text(LRC)
    (given / "tags.txt").write_text("[verse]\none\n[Chorus]\ntwo")
    (given / "sections.txt").write_text(SECTIONS)
    (given / "genre.txt").write_text("folk guitar")
    (given / "reference.wav").write_bytes(wav_bytes(11))
    for name, content in (("rows2", rows), ("levo", levo), ("bloom", bloom)):
        (given / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in content))
    (given / "song.toml").write_text(
        f'caption = "folk"\nlyrics = "la"\nsave_dir = "{out}"\nseeds = [7]\nthinking = false\n'
    )


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    """The repository that the test names by its parameter."""
    return Bench(tmp_path, request.param)


def with_each(*names: str) -> pytest.MarkDecorator:
    """Run a test with these repositories."""
    return pytest.mark.parametrize("bench", names, indirect=True)


@with_each(*COMMANDS)
def test_the_right_options_make_audio(bench: Bench) -> None:
    done = bench.start()
    assert done.returncode == 0, done.stdout
    assert bench.made() == MADE.get(bench.name, bench.made()) != []
    assert all(abs(soundfile.read(bench.out / path)[0]).max() > 0.1 for path in bench.made())


@with_each(*COMMANDS)
def test_a_wrong_option_is_refused(bench: Bench) -> None:
    done = bench.start("--loudness 11")
    assert done.returncode == 2 and "unrecognized arguments: --loudness 11" in done.stdout
    assert bench.made() == []


WRONG_TYPES = {
    "diffrhythm": "--audio-length 95.5", "diffrhythm2": "--steps 16.5", "yue": "--seed x",
    "heartmula": "--lazy_load maybe", "songbloom": "--dtype float16",
}  # fmt: skip


@with_each(*WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_refused(bench: Bench) -> None:
    done = bench.start(WRONG_TYPES[bench.name])
    assert done.returncode == 2 and ("invalid" in done.stdout or "expected" in done.stdout)
    assert bench.made() == []


@with_each(*COMMANDS)
def test_a_missing_file_ends_in_an_error(bench: Bench) -> None:
    for path in bench.given.iterdir():
        path.unlink()
    done = bench.start()
    if bench.name == "heartmula":  # it takes the path for lyrics
        assert done.returncode == 0 and bench.record()["sung"] == [f"{bench.given}/sections.txt".lower()]
    else:
        assert done.returncode != 0 and ("No such file" in done.stdout or "not found" in done.stdout)


@with_each("diffrhythm", "yue", "heartmula", "songgeneration", "songbloom")
def test_another_folder_than_that_of_the_repository_ends_in_an_error(bench: Bench, tmp_path: Path) -> None:
    done = bench.start(cwd=tmp_path)
    assert done.returncode == 1 and bench.made() == []
    assert "not found" in done.stdout or "No such file" in done.stdout


@with_each("diffrhythm2", "songgeneration", "songbloom")
def test_a_blank_line_in_json_lines_ends_in_an_error(bench: Bench) -> None:
    path = bench.given / FILES_OF_ROWS[bench.name]
    path.write_text(f"{path.read_text()}\n")
    done = bench.start()
    assert done.returncode == 1 and "JSONDecodeError" in done.stdout and bench.made() == []


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [("nothing", 0, ""), ("empty", 0, ""), ("traceback", 1, "device-side assert"), ("fail", 1, "CUDA out of memory")],
)
@with_each(*COMMANDS)
def test_each_misbehaves_as_it_is_told(bench: Bench, behaviour: str, code: int, words: str) -> None:
    done = bench.start(STANDIN_BEHAVIOUR=behaviour)
    assert done.returncode == code and words in done.stdout
    assert all((bench.out / path).stat().st_size == 0 for path in bench.made())


def test_every_recipe_has_a_repository() -> None:
    assert {path.stem for path in RECIPES.glob("*.toml")} == REPOSITORIES.keys() >= COMMANDS.keys()


# --- the traps of each


@with_each("diffrhythm")
def test_diffrhythm_drops_lines_and_at_95_seconds_the_last_one(bench: Bench) -> None:
    bench.start()
    assert bench.record()["sung"] == [[10, "first"], [20, "second"]]
    bench.start("--audio-length 96")
    assert [words for _, words in bench.record()["sung"]] == ["first", "second", "last"]


@with_each("diffrhythm")
def test_diffrhythm_ends_with_0_if_its_dictionary_is_missing(bench: Bench) -> None:
    (bench.folder / "g2p/sources/g2p_chinese_model/polychar.txt").unlink()
    done = bench.start()
    assert done.returncode == 0 and "Incorrect path for" in done.stdout and bench.made() == []


@pytest.mark.parametrize("length", ["94", "286"])
@with_each("diffrhythm")
def test_diffrhythm_refuses_other_lengths(bench: Bench, length: str) -> None:
    done = bench.start(f"--audio-length {length}")
    assert done.returncode == 1 and f"Invalid audio_length: {length}" in done.stdout


@with_each("diffrhythm")
def test_diffrhythm_keeps_one_song_of_a_batch_and_takes_one_style(bench: Bench) -> None:
    assert bench.start("--batch-infer-num 3").returncode == 0 and bench.made() == ["output.wav"]
    both = bench.start(f"--ref-audio-path {bench.given}/reference.wav")
    assert both.returncode == 1 and "only one of them should be provided" in both.stdout


@with_each("diffrhythm2")
def test_diffrhythm2_skips_a_row_and_ends_with_0(bench: Bench) -> None:
    (bench.given / "rows2.jsonl").write_text('{"song_name": "a", "style_prompt": "folk"}\n')
    done = bench.start()
    assert done.returncode == 0 and "lyrics or style_prompt is None, skip a" in done.stdout and bench.made() == []


@with_each("diffrhythm2")
def test_diffrhythm2_sings_a_tag_that_it_does_not_know(bench: Bench) -> None:
    bench.start()
    [song, _] = bench.record()["songs"]
    assert song["tags"] == ["[verse]"] and song["sung"] == ["one", "[Chorus]", "two"]


@with_each("ace_step")
def test_ace_step_fails_with_0(bench: Bench) -> None:
    refused = bench.start(STANDIN_BEHAVIOUR="refused")
    assert refused.returncode == 0 and "❌ Generation failed: CUDA out of memory" in refused.stdout
    silent = bench.start(STANDIN_BEHAVIOUR="silent")
    assert silent.returncode == 0 and "✅ Generation successful! 1 audio(s)" in silent.stdout and bench.made() == []


@with_each("ace_step")
def test_ace_step_waits_for_a_key_and_leaves_a_file_that_replaces_the_next_prompt(bench: Bench) -> None:
    song = bench.given / "song.toml"
    song.write_text(song.read_text().replace("thinking = false", ""))
    asked = bench.start()
    assert asked.returncode == 1 and "EOFError" in asked.stdout and (bench.folder / "instruction.txt").exists()
    song.write_text(song.read_text().replace("folk", "jazz"))
    assert bench.start().returncode == 0 and bench.record()["song"]["caption"] == "folk"


@with_each("ace_step")
def test_ace_step_writes_the_same_file_for_the_same_parameters(bench: Bench) -> None:
    bench.start()
    [first] = bench.made()
    bench.start()
    assert bench.made() == [first]
    song = bench.given / "song.toml"
    song.write_text(song.read_text().replace("[7]", "[8, 9]"))
    assert "2 audio(s) saved" in bench.start().stdout and len(bench.made()) == 3


@with_each("yue")
def test_yue_leaves_decoys_and_never_sings_the_last_section(bench: Bench) -> None:
    bench.start("--run_n_segments 9")
    assert bench.record()["sung"] == ["[verse]\none", "[chorus]\ntwo"]
    [song] = [path for path in bench.made() if "/" not in path]
    assert song.startswith("folk-guitar_tp0@93_T1@0_rp1@1_maxtk3000_") and song.endswith("_mixed.mp3")
    decoys = {path for path in bench.made() if "/" in path}
    assert len(decoys) == 6 and {soundfile.info(bench.out / path).samplerate for path in decoys} == {16000, 44100}


@pytest.mark.parametrize(
    ("lyrics", "sections"),
    [("[verse 1]\none\n\n[chorus]\ntwo\n\n[outro]\nx", 2), ("[verse]\na [softly] b\n\n[outro]\nx", 3)],
)
@with_each("yue")
def test_yue_loses_sections_with_odd_tags(bench: Bench, lyrics: str, sections: int) -> None:
    (bench.given / "sections.txt").write_text(lyrics)
    assert bench.start().returncode == 0 and len(bench.record()["sections"]) == sections


@with_each("yue")
def test_yue_crashes_on_one_section_and_on_a_genre_that_is_no_file_name(bench: Bench) -> None:
    (bench.given / "sections.txt").write_text("[verse]\nalone\n")
    assert "NameError" in bench.start().stdout and bench.made() == []
    (bench.given / "sections.txt").write_text(SECTIONS)
    (bench.given / "genre.txt").write_text("r&b/soul")
    assert bench.start().returncode == 1 and bench.made() == []


@with_each("heartmula")
def test_heartmula_needs_its_model_and_makes_no_folder(bench: Bench) -> None:
    assert bench.start(f"--save_path {bench.out}/new/song.wav").returncode == 1
    (bench.folder / "ckpt" / "tokenizer.json").unlink()
    done = bench.start()
    assert done.returncode == 1 and "Expected to find tokenizer.json" in done.stdout and bench.made() == []


@with_each("songgeneration")
def test_songgeneration_ends_with_0_without_a_gpu(bench: Bench) -> None:
    done = bench.start(STANDIN_BEHAVIOUR="no_cuda")
    assert (done.returncode, done.stdout, bench.made()) == (0, "CUDA is not available\n", [])


@pytest.mark.skipif(not shutil.which("dash"), reason="there is no dash")
@pytest.mark.parametrize(("shell", "made"), [("bash", ["a_bgm.flac", "a_vocal.flac", "a.flac"]), ("dash", [])])
@with_each("songgeneration")
def test_the_script_of_songgeneration_does_nothing_in_dash(bench: Bench, shell: str, made: list[str]) -> None:
    words = ("generate.sh", "songgeneration_base_new", f"{bench.given}/levo.jsonl", str(bench.out), "--separate")
    done = run(bench.folder, shell, *words)
    assert done.returncode == 0, done.stdout
    assert {f"audios/{name}" for name in made} <= set(bench.made()) and bool(made) == bool(bench.made())


@with_each("songbloom")
def test_songbloom_needs_its_environment_and_a_reference(bench: Bench) -> None:
    assert "LookupError" in bench.start(NLTK_DATA="").stdout
    (bench.given / "bloom.jsonl").write_text('{"idx": "a", "lyrics": "[verse] One.", "prompt_wav": ""}\n')
    assert bench.start().returncode == 1 and bench.made() == []


@with_each("diffrhythm2", "heartmula", "songgeneration", "songbloom")
def test_progress_is_printed_with_carriage_returns(bench: Bench) -> None:
    printed = bench.start().stdout
    assert ("it [00:01" if bench.name == "songbloom" else "%|") in printed
