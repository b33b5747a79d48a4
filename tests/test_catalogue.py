"""The catalogue: the recipes of generators.toml, and sentences for everything that is wrong in it."""

from pathlib import Path
from typing import Any

import pytest

from errors import SettingsError
from generators.catalogue import catalogue, no_generator
from generators.parameters import Parameter
from generators.recipe import PLACEHOLDERS, Recipe, Seconds
from settings import Settings
from tests.documents import ROOT, blocks

DIFFRHYTHM = r"""
[diffrhythm]
command = ["python", "infer/infer.py", "--lrc-path", "{lyrics_file}", "--ref-prompt", "{prompt}",
           "--audio-length", "{duration}", "--output-dir", "{output_dir}", "{?chunked}--chunked"]
cwd = "DiffRhythm"
env = { CUDA_VISIBLE_DEVICES = "0" }
seconds = { min = 95, max = 285, usual = 95 }
lyrics = "lrc"
outputs = ["*.wav", "*.flac", "*.mp3"]
progress = 'step (\d+)/(\d+)'
stages = { loading_model = "loading", generating_audio = "inference" }
gpu = "0"
timeout = "30m"
version = ["git", "rev-parse", "--short", "HEAD"]
parameters = { steps = { type = "int", min = 10, max = 100, default = 32, help = "more is slower" } }
"""
START = '[x]\ncommand = ["a", "{output_dir}"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "generators.toml"


def read(file: Path, text: str, **more: Any) -> dict[str, Recipe]:
    """The catalogue with this text as GENERATORS."""
    file.write_text(text)
    return catalogue(Settings(_env_file=None, generators=file, **more))


def test_a_table_is_a_recipe(file: Path) -> None:
    (file.parent / "DiffRhythm").mkdir()
    recipe = read(file, DIFFRHYTHM)["diffrhythm"]
    assert recipe.name == "diffrhythm" and recipe.folder == file.parent / "DiffRhythm"
    assert recipe.seconds.default == 95 and recipe.timeout is not None and recipe.timeout.total_seconds() == 1800
    assert recipe.uses("prompt") and not recipe.is_seeded and recipe.parameters["steps"].default == 32


def test_without_a_file_there_is_synth_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(catalogue(Settings(_env_file=None))) == {"synth"}


def test_diffrhythm_command_is_a_recipe_and_a_table_of_the_same_name_replaces_it(file: Path) -> None:
    command = "run '--x={prompt}' {output_dir}"
    made = read(file, START, diffrhythm_command=command)
    assert set(made) == {"synth", "diffrhythm", "x"} and made["diffrhythm"].seconds.max == 285
    file.with_name("other.toml").write_text(DIFFRHYTHM.replace('cwd = "DiffRhythm"\n', ""))
    other = Settings(_env_file=None, generators=file.with_name("other.toml"), diffrhythm_command=command)
    assert catalogue(other)["diffrhythm"].gpu == "0"


def test_the_folder_and_the_program_may_be_in_the_home_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    recipe = read(file, '[x]\ncommand = ["~/bin/python", "~x", "{output_dir}"]\ncwd = "~"')["x"]
    assert recipe.folder == file.parent and recipe.command is not None
    assert [word.text({"output_dir": ""}) for word in recipe.command] == [f"{file.parent}/bin/python", "~x", ""]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "x is 1: expected a table such as [x]"),
        ("[x]", "[x] expected either command or serve"),
        ("[x]\nserve = ['a']\ncommand = ['a']", "[x] expected either command or serve"),
        ('["a b"]\ncommand = ["a"]', "[a b]: expected a job type of 1 to 64 characters"),
        ('[x]\ncommand = "python a.py"', "[x] command is 'python a.py': expected a list of texts"),
        ("[x]\ncommand = []", "[x] command is []: expected at least one entry"),
        ('[x]\ncommand = ["a", 1]', "[x] command.1 is 1: expected a text in quotes"),
        ('[x]\ncommand = ["{prompt"]', "[x] command.0 is '{prompt': there is a single {; expected a placeholder"),
        ('[x]\ncommand = ["{promt}"]', "[x] command: {promt} is no placeholder; expected one of prompt, lyrics,"),
        ('[x]\ncommand = ["{?a.b}x"]', "[x] command: {?a.b} is no condition; expected one of prompt"),
        ('[x]\ncommand = ["{metadata.a}"]', "[x] command: {metadata.a} has no default; expected {metadata.a|…}"),
        ('[x]\ncommand = ["{n}"]\nparameters.n.type = "int"', "{n} has no value if a job sets none; expected"),
        (START + 'env = { A = "{b}" }', "[x] env.A: {b} is no placeholder"),
        (START + 'version = ["{seed}"]', "[x] version: expected no placeholder"),
        (START + 'outputs = ["/tmp/*.wav"]', "[x] outputs.0 is '/tmp/*.wav': expected a pattern inside {output_dir}"),
        (START + 'outputs = ["../*.wav"]', "[x] outputs.0 is '../*.wav': expected a pattern inside {output_dir}"),
        (START + 'not_outputs = ["**a/*.wav"]', "[x] not_outputs.0 is '**a/*.wav': expected a pattern such as *.wav"),
        (START + 'files.f = { path = "Lyrics.txt", text = "a" }', "files: expected another path than lyrics.txt"),
        (START + 'files.a = { path = "f", text = "a" }\nfiles.b = { path = "f", text = "b" }', "another path than f"),
        (START + 'files.f = { path = "f.json", content = { a = 2026-01-01 } }', "[x] files.f.content: expected values"),
        (START + 'files.f = { path = "f.json", content = { a = nan } }', "[x] files.f.content: expected values"),
        (START + 'env = { "A=B" = "x" }', "[x] env.A=B"),
        ('[x]\ncommand = ["a\\u0000"]', "expected no NUL character"),
        (START + 'parameters.n = { type = "float", max = inf }', "[x] parameters.n.max"),
        (START + 'parameters.n = { type = "int", default = 1' + "0" * 400 + ", max = 5 }", "expected an integer to 5"),
        (START + "seconds = { min = 0.4, max = 0.4 }", "expected a whole number between min and max"),
        (START + 'cwd = "~no-such-user/x"', "[x] cwd is '~no-such-user/x': expected a folder that exists"),
        (START + 'progress = "a{99999999999}"', "[x] progress is 'a{99999999999}': expected a regular expression"),
        (START + "a = " + "[" * 2000, "expected TOML"),
        (START + 'files.f = { path = "f.json", content = { a = ["{b}"] } }', "[x] files.f: {b} is no placeholder"),
        (START + 'files.f = { path = "../f.json", content = 1 }', "[x] files.f.path is '../f.json'"),
        (START + 'files.f = { path = "f.ini", content = 1 }', "expected .json, .jsonl, .yaml or .toml for content"),
        (START + 'files.f = { path = "f.toml", content = 1 }', "content: expected a table, because a TOML file is one"),
        (START + 'files.f.path = "f.json"', "expected either content or text"),
        (START + 'cwd = "nowhere"', "[x] cwd is 'nowhere': expected a folder that exists"),
        (START + 'progress = "("', "[x] progress is '(': expected a regular expression"),
        (START + 'progress = "(a)(b)(c)"', "[x] progress: expected one group (percent) or two (step, total)"),
        (START + 'stages = { cooking = "a" }', "[x] stages.cooking is 'cooking': expected 'loading_model'"),
        (START + "seconds = { min = 5, max = 2 }", "expected min <= usual <= max, but they are 5, 5, 2"),
        (START + 'seconds.max = "a"', "[x] seconds.max is 'a': expected a number"),
        (START + 'lyrics = "opera"', "[x] lyrics.form is 'opera': expected 'lrc', 'tags'"),
        (START + 'timeout = "5"', "[x] timeout is '5': expected a whole number and a unit"),
        (START + "colour = 1", "[x] colour: there is no such key; expected one of command, serve, idle_seconds"),
        (START + "license = 1", "[x] license: there is no such key; did you mean licence?"),
        (START + "seconds.maxx = 1", "[x] seconds.maxx: there is no such key; did you mean max?"),
        ('[a.b]\ncommand = ["a"]', '[a] b: there is no such key; a job type with a dot stands in quotes'),
        (START + "seconds = 30", "[x] seconds is 30: expected a table with its keys"),
        (START + "timeout = 30", '[x] timeout is 30: expected a text such as "30m"'),
        (START + "gpu = 0", "[x] gpu is 0: expected a text in quotes"),
        (START + "parameters.n.min = 3", "[x] parameters.n.type is missing"),
        (START + 'parameters."my step".type = "int"', "is 'my step': expected a name of letters"),
        (START + 'parameters.prompt.type = "int"', "[x] parameters.prompt: expected another name"),
        (START + 'parameters.n = { type = "int", default = "a" }', "default is 'a': expected an integer"),
        (START + 'parameters.n = { type = "float", min = 2, max = 1 }', "expected min <= max, but they are 2 and 1"),
        (START + 'parameters.n.type = "choice"', 'expected choices for type = "choice", and only for it'),
        ('[x]\ncommand = ["{?lyrics_file}x"]', "there is always a lyrics_file, which may be empty; expected {?lyrics}"),
        (START + 'cleanup = ["a"]', "[x] cleanup: expected cwd, too"),
        (START + 'cwd = "."\ncleanup = ["."]', "[x] cleanup.0 is '.': expected a path inside cwd"),
        (START + 'cwd = "."\ncleanup = ["../a"]', "[x] cleanup.0 is '../a': expected a path inside cwd"),
        (START + 'cwd = "."\ncleanup = ["/a"]', "[x] cleanup.0 is '/a': expected a path inside cwd"),
        ('[x]\nserve = ["a", "{seed}"]', "serve: expected no placeholder, as one process serves"),
        ('[x]\nserve = ["a"]\nenv.B = "{seed}"', "[x] env: expected no placeholder"),
        ('[x]\nserve = ["a"]\nfailed = ["b"]', "[x] failed: expected only with command"),
        ("[x", "expected TOML: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_was_expected(file: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, text)
    assert sentence in str(caught.value) and str(file) in str(caught.value)


def test_a_file_that_was_named_must_exist(file: Path) -> None:
    with pytest.raises(SettingsError, match="GENERATORS is .*: there is no such file"):
        catalogue(Settings(_env_file=None, generators=file))


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="the file cannot be read"):
        catalogue(Settings(_env_file=None, generators=file))


def test_a_type_without_a_recipe_says_what_is_there() -> None:
    remedy = "Correct the job_type, or add a table [y] to generators.toml and start again"
    assert no_generator("y", {"x", "synth"}) == f"no worker here has a generator for y. There are: synth, x. {remedy}"
    assert no_generator("y", ()) == f"no worker here has a generator for y. {remedy}"
    assert '["y.1"]' in no_generator("y.1", ()) and "set DIFFRHYTHM_COMMAND" in no_generator("diffrhythm", {"synth"})


# --- the documents


PAGE = (ROOT / "docs" / "generators.md").read_text()


def test_every_key_and_every_placeholder_is_documented() -> None:
    keys = {*Recipe.model_fields, *Seconds.model_fields, *Parameter.model_fields}
    assert [key for key in keys if f"`{key}`" not in PAGE] == []
    assert [name for name in PLACEHOLDERS if f"`{{{name}}}`" not in PAGE] == []


def test_every_recipe_in_the_documents_can_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    for name in ("my-model", "DiffRhythm"):
        (file.parent / name).mkdir()
    texts = [block.text for block in blocks("toml", ROOT / "docs" / "generators.md")]
    for number, text in enumerate(texts):
        assert len(read(file.with_name(f"{number}.toml"), text)) > 1
    assert len(texts) >= 3
