"""The catalogue: every recipe that this process can read, by job_type. It comes from generators.toml and settings."""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from errors import SettingsError
from generators import rendered
from generators.mistakes import sentence
from generators.recipe import Recipe
from settings import Settings

ROOT = Path(__file__).parent.parent  # where `python -m studio.…` works
USUAL = Path("generators.toml")
WORD = "A-Z a-z 0-9 . _ -"
SYNTH = {
    "command": [
        *("-m", "studio.synth", "--ref-prompt={prompt}", "--audio-length={duration}", "--output-dir={output_dir}"),
        *("--metadata={metadata_file}", "--seed={seed}", "{?tempo}--tempo={tempo}"),
    ],
    "seconds": {"min": 3, "max": 600, "usual": 95, "whole": False},
    "parameters": {"tempo": {"type": "int", "min": 40, "max": 240, "help": "beats per minute"}},
}
DIFFRHYTHM_LYRICS = {"form": "lrc", "spare_last_until": 95}
DIFFRHYTHM = {
    "seconds": {"min": 95, "max": 285},
    "outputs": ["**/*.wav", "**/*.flac", "**/*.ogg", "**/*.mp3", "**/*.aif", "**/*.aiff"],
}


def catalogue(settings: Settings) -> dict[str, Recipe]:
    """The recipes by job_type: synth, those of GENERATORS, and diffrhythm if DIFFRHYTHM_COMMAND is set.

    A table of the file replaces a recipe of the same name. Raises SettingsError for the first thing that is wrong.
    """
    return _catalogue(settings.generators, settings.diffrhythm_command)


def no_generator(job_type: str, present: Collection[str]) -> str:
    """The sentence for jobs that wait in vain, as the workers have generators for other types alone; what to do."""
    key = json.dumps(job_type) if "." in job_type else job_type  # a dot separates keys in TOML
    table = f"add a table [{key}] to generators.toml"
    if job_type == "diffrhythm":
        return f"no worker here runs DiffRhythm; {table} or set DIFFRHYTHM_COMMAND, and start again"
    others = f". There are: {', '.join(sorted(present))}" if present else ""
    return f"no worker here has a generator for {job_type}{others}. Correct the job_type, or {table} and start again"


@cache
def _catalogue(path: Path | None, diffrhythm: str) -> dict[str, Recipe]:
    recipes = {"synth": _synth()}
    if diffrhythm:
        lyrics = {"lyrics": DIFFRHYTHM_LYRICS} if "{lyrics" in diffrhythm else {}
        table = {**DIFFRHYTHM, **lyrics, "command": shlex.split(diffrhythm)}
        recipes["diffrhythm"] = _recipe("diffrhythm", table, Path(), "DIFFRHYTHM_COMMAND: ")
    return recipes | (_read(path or USUAL) if path or USUAL.exists() else {})


def _synth() -> Recipe:
    """The recipe of the small synthesiser that comes with this program."""
    return _recipe("synth", {**SYNTH, "command": [sys.executable, *SYNTH["command"]], "cwd": str(ROOT)}, ROOT, "")


def _read(path: Path) -> dict[str, Recipe]:
    """The recipes of a file. Raises SettingsError."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"GENERATORS is {str(path)!r}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"GENERATORS is {str(path)!r}: the file cannot be read: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: expected TOML: {error}") from None
    return {name: _recipe(name, table, path.absolute().parent, f"{path}: ") for name, table in tables.items()}


def _recipe(name: str, table: Any, beside: Path, source: str) -> Recipe:
    """The recipe of a table. beside: the folder that cwd is relative to. Raises SettingsError."""
    if not isinstance(table, dict):
        raise SettingsError(f"{source}{name} is {table!r}: expected a table such as [{name}] with its keys below it")
    if not is_word(name):
        raise SettingsError(f"{source}[{name}]: expected a job type of 1 to 64 characters of {WORD}")
    try:
        recipe = Recipe.model_validate(table)
        rendered.check(recipe)
    except ValidationError as error:
        raise SettingsError(f"{source}[{name}] {sentence(dict(error.errors()[0]))}") from None
    except ValueError as error:
        raise SettingsError(f"{source}[{name}] {error}") from None
    folder = _folder(recipe, beside)
    if folder and not folder.is_dir():
        raise SettingsError(f"{source}[{name}] cwd is {recipe.cwd!r}: expected a folder that exists")
    return recipe.placed(name, folder)


def _folder(recipe: Recipe, beside: Path) -> Path | None:
    """The folder that a generator runs in; None: the work folder of the attempt."""
    cwd = recipe.cwd or ("." if recipe.is_warm else None)
    try:
        return beside / Path(cwd).expanduser() if cwd else None
    except RuntimeError:  # ~name of a user that does not exist
        return beside / str(cwd)


def is_word(name: str) -> bool:
    """True for what may be a job_type."""
    return re.fullmatch("[A-Za-z0-9._-]{1,64}", name) is not None
