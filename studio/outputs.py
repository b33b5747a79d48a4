"""The files of a generator: which of those in its output folder count as music, and what an earlier run left."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from generators.recipe import Recipe

DIGITS = "0123456789"
NUMBER = re.compile("([0-9]{1,1000})")


def sounds(recipe: Recipe, folder: Path) -> list[Path]:
    """The files that match outputs and not not_outputs, in the order of their names: take 2 before take 10."""
    matching = _matching(folder, recipe.outputs) - _matching(folder, recipe.not_outputs)
    return sorted((path for path in matching if path.is_file() and not path.is_symlink()), key=_order)


def no_sounds(recipe: Recipe, last_lines: Iterable[str]) -> str:
    """The sentence for a generator that ended well without a file. last_lines: what it printed last."""
    expected = " or ".join(recipe.outputs)
    printed = "\n".join(last_lines) or "it printed nothing"
    return f"the generator wrote no audio file into its output folder (expected {expected}): {printed}"


def clean_up(recipe: Recipe) -> None:
    """Remove the files and folders of cleanup. They are in the folder of the generator."""
    for name in recipe.cleanup if recipe.folder else []:
        path = Path(str(recipe.folder), name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _matching(folder: Path, patterns: list[str]) -> set[Path]:
    return {path for pattern in patterns for path in folder.glob(pattern)}


def _order(path: Path) -> list[tuple[int, str]]:
    """A key that sorts numbers by their value."""
    return [(int(part), "") if part[0] in DIGITS else (-1, part) for part in NUMBER.split(str(path)) if part]
