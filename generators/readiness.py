"""Readiness: whether the generator of a recipe can start on this machine, and if not, what to do."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generators.recipe import Recipe
from generators.templates import Template

SCRIPTS = (".py", ".sh")
MOVES = ("-C", "--chdir")  # `env -C FOLDER` runs the command in another folder, so its scripts are not in cwd


@dataclass(frozen=True)
class Readiness:
    """problems: sentences that say what is missing and what to do. notes: sentences about what is not needed."""

    problems: list[str]
    notes: list[str]

    @property
    def can_start(self) -> bool:
        """True if nothing is missing."""
        return not self.problems


def readiness(recipe: Recipe) -> Readiness:
    """Look for the program of a recipe, its folder and its script; for a GPU, also whether nvidia-smi is there."""
    return Readiness(list(_problems(recipe)), list(_notes(recipe)))


def _problems(recipe: Recipe) -> Iterator[str]:
    folder = recipe.folder
    if folder and not folder.is_dir():
        yield f"cwd is {str(folder)!r}: there is no such folder; mount it, or correct cwd"
        return
    program, *words = recipe.command or recipe.serve or []
    if not program.is_fixed:
        return
    if problem := _problem_of_program(recipe, program.text({})):
        yield problem
    script = next((word.text({}) for word in words if _is_script(word)), None)
    is_moved = any(word.is_fixed and word.text({}) in MOVES for word in words)
    if script and not is_moved and (folder or Path(script).is_absolute()) and not Path(folder or "/", script).is_file():
        yield f"there is no file {script}{_in(folder)}; correct the command or cwd"


def _problem_of_program(recipe: Recipe, program: str) -> str | None:
    """Why the program cannot be started; None if it can. A path is relative to cwd, a name is looked up in PATH."""
    folder = recipe.folder
    if "/" not in program:
        is_there = shutil.which(program, path=_search_path(recipe)) is not None
        return None if is_there else f"there is no program {program} on PATH; install it, or write its whole path"
    if folder is None and not Path(program).is_absolute():
        return f"{program} is a relative path; write the whole path, or set cwd"
    path = Path(folder or "/", program)
    if not path.is_file():
        return f"there is no program {program}{_in(folder)}; install it, or correct the command"
    return None if os.access(path, os.X_OK) else f"{path} is not executable; run `chmod +x {path}`"


def _search_path(recipe: Recipe) -> str | None:
    """PATH as the generator has it, with whole paths; None for that of this process."""
    path = recipe.env.get("PATH")
    if path is None or not path.is_fixed:
        return None
    return os.pathsep.join(str(Path(recipe.folder or "/", entry)) for entry in path.text({}).split(os.pathsep))


def _notes(recipe: Recipe) -> Iterator[str]:
    if recipe.gpu is not None and shutil.which("nvidia-smi") is None:
        yield f"the recipe needs the GPU {recipe.gpu}, and nvidia-smi is not on PATH: its memory cannot be measured"


def _is_script(word: Template) -> bool:
    return word.is_fixed and word.text({}).endswith(SCRIPTS) and not word.text({}).startswith("-")


def _in(folder: Path | None) -> str:
    return f" in {folder}" if folder else ""
