"""Whether a generator can start: its folder, its program and its script; what is missing, and what to do."""

import shutil
from pathlib import Path

import pytest

from generators.catalogue import catalogue
from generators.description import describe
from generators.readiness import readiness
from generators.recipe import Recipe
from settings import Settings
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a generator, with a program, a script and a text."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("run", "infer.py", "text"):
        (folder / name).write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    return folder


def recipe_in(folder: Path, text: str) -> Recipe:
    """The recipe of a table beside the folder."""
    file = folder.parent / "generators.toml"
    file.write_text(f"[x]\n{text}\n")
    return catalogue(Settings(_env_file=None, generators=file))["x"]


@pytest.mark.parametrize(
    "text",
    [
        'cwd = "model"\ncommand = ["./run", "infer.py", "{prompt}"]',
        'cwd = "model"\ncommand = ["run"]\nenv.PATH = "."',
        'cwd = "model"\ncommand = ["sh", "-u", "infer.py", "--to", "later.py"]',
        'cwd = "model"\ncommand = ["env", "-C", "/elsewhere", "sh", "other.py"]',
        'command = ["sh", "relative.py"]',
        'command = ["{metadata.program|sh}", "x"]',
        'cwd = "model"\nserve = ["sh", "infer.py"]',
    ],
)
def test_a_generator_with_all_its_parts_can_start(folder: Path, text: str) -> None:
    ready = readiness(recipe_in(folder, text))
    assert (ready.problems, ready.can_start) == ([], True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('command = ["no-such-program"]', "there is no program no-such-program on PATH; install it"),
        ('cwd = "model"\ncommand = ["run"]', "there is no program run on PATH"),
        ('command = ["./run"]', "./run is a relative path; write the whole path, or set cwd"),
        ('cwd = "model"\ncommand = ["bin/run"]', "there is no program bin/run in "),
        ('command = ["/no/such"]', "there is no program /no/such; install it, or correct the command"),
        ('cwd = "model"\ncommand = ["./text"]', "text is not executable; run `chmod +x "),
        ('cwd = "model"\ncommand = ["sh", "other.py"]', "there is no file other.py in "),
        ('command = ["sh", "/no/such.sh"]', "there is no file /no/such.sh; correct the command or cwd"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(folder: Path, text: str, sentence: str) -> None:
    ready = readiness(recipe_in(folder, text))
    assert not ready.can_start and sentence in " ".join(ready.problems)


def test_a_folder_that_has_gone_is_named(folder: Path) -> None:
    recipe = recipe_in(folder, 'cwd = "model"\ncommand = ["./run", "infer.py"]')
    shutil.rmtree(folder)
    (problem,) = readiness(recipe).problems
    assert "there is no such folder; mount it, or correct cwd" in problem


def test_a_gpu_without_nvidia_smi_is_a_note(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_in(folder, 'cwd = "model"\ngpu = "0"\ncommand = ["./run"]')
    monkeypatch.setenv("PATH", str(folder.parent))
    ready = readiness(recipe)
    assert ready.can_start and ready.notes and "nvidia-smi is not on PATH" in ready.notes[0]
    (folder / "run").rename(folder.parent / "nvidia-smi")
    assert readiness(recipe).notes == []


def test_a_description_has_what_a_form_needs(folder: Path) -> None:
    text = 'command = ["sh"]\nlyrics = "tags"\nparameters.n = { type = "int", max = 9, default = 4, help = "steps" }'
    described = describe(recipe_in(folder, text))
    assert described["seconds"] == {"min": 1, "max": 600, "usual": 1, "kind": "exact"}
    assert (described["lyrics"], described["batch"], described["is_seeded"]) == ("tags", False, False)
    assert described["parameters"]["n"] == {
        **{"type": "int", "min": None, "max": 9, "max_length": None, "choices": [], "default": 4, "help": "steps"}
    }


def test_the_synthesiser_can_always_start() -> None:
    synth = catalogue(Settings(_env_file=None))["synth"]
    assert describe(synth)["can_start"] and synth.folder == ROOT
