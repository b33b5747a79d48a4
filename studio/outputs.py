"""The files of a generator: which of those in its output folder count as music, and what an earlier run left."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from generators.recipe import Recipe

DIGITS = "0123456789"
MOST_FILES = 100
NUMBER = re.compile("([0-9]{1,1000})")


def sounds(recipe: Recipe, folder: Path) -> list[Path]:
    """The files that match outputs and not not_outputs, in the order of their names: take 2 before take 10.

    A link is none of them, nor is a file in a folder that is a link: they belong to somebody else.
    """
    matching = _matching(folder, recipe.outputs) - _matching(folder, recipe.not_outputs)
    return sorted((path for path in matching if path.is_file() and _is_below(folder, path)), key=_order)


def why_unusable(recipe: Recipe, sources: list[Path]) -> str | None:
    """The reason why these files cannot be takes; None if they may be."""
    expected = " or ".join(recipe.outputs)
    if not sources:
        return f"the generator wrote no audio file into its output folder (expected {expected})"
    if len(sources) > MOST_FILES:
        return (
            f"the generator wrote {len(sources)} files that match outputs ({expected}): at most {MOST_FILES} are taken"
        )
    return None


def with_lines(reason: str, last_lines: Iterable[str]) -> str:
    """A reason why a take does not count, and what the generator printed last."""
    return "\n".join([reason, *last_lines])


def clean_up(recipe: Recipe) -> None:
    """Remove the files and folders of cleanup that are in the folder of the generator, and not behind a link."""
    folder = Path(str(recipe.folder))
    for path in [folder / name for name in recipe.cleanup] if recipe.folder else []:
        if not _is_below(folder, path.parent):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _matching(folder: Path, patterns: list[str]) -> set[Path]:
    """The paths that match. Before Python 3.13, ** at the end of a pattern matches folders alone."""
    return {path for pattern in patterns for path in folder.glob(f"{pattern}/*" if _ends_open(pattern) else pattern)}


def _ends_open(pattern: str) -> bool:
    return Path(pattern).name == "**"


def _is_below(folder: Path, path: Path) -> bool:
    """True if the path is in the folder, or the folder itself, and no part of it after the folder is a link."""
    return Path(os.path.realpath(path)) == Path(os.path.realpath(folder), path.relative_to(folder))


def _order(path: Path) -> list[tuple[int, str]]:
    """A key that sorts numbers by their value."""
    return [(int(part), "") if part[0] in DIGITS else (-1, part) for part in NUMBER.split(str(path)) if part]
