"""Provenance: what made a track, so that it can be made again."""

import re
from collections.abc import Callable
from pathlib import Path

from generators import templates
from generators.recipe import Recipe
from studio.process import Command, run

VERSION_SECONDS = 30.0
VERSION_CHARACTERS = 200
HIDDEN = "…"
SECRET = re.compile(r"(?i)(-*[\w-]*(?:token|secret|password|passwd|api[_-]?key)[\w-]*)(=.*)?", re.S)


def version_of(recipe: Recipe, folder: Path, work: Path, stop: Callable[[], bool]) -> str | None:
    """The first line that the command `version` of a recipe prints; None if it has none, or if it fails.

    folder: where the generator runs. work: a folder for the output.
    """
    if not recipe.version:
        return None
    output = work / "version.txt"
    environment = {name: word.text({}) for name, word in recipe.env.items() if not list(word.slots)}
    command = Command(templates.fill(recipe.version, {}), folder, VERSION_SECONDS, environment)
    try:
        process = run(command, output, stop)
    except TimeoutError:
        return None
    lines = output.read_text("utf-8", "replace").replace("\0", " ").strip().splitlines()
    return lines[0][:VERSION_CHARACTERS] if lines and process.code == 0 else None


def shortened(command: list[str], work: Path) -> list[str]:
    """A command line without the path of the work folder, which exists only while the job is made, and without secrets.

    The value in --api-token=x, and the word after --api-token, are replaced by an ellipsis.
    """
    words: list[str] = []
    is_secret = False
    for word in command:
        name = SECRET.fullmatch(word) if word.startswith("-") or "=" in word else None
        shown = f"{name[1]}={HIDDEN}" if name and name[2] else word.replace(f"{work}/", "")
        words.append(HIDDEN if is_secret else shown)
        is_secret = name is not None and name[2] is None
    return words
