"""`flask generators`: lists the generators of this machine with whether each can start, and tries one."""

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import TYPE_CHECKING, Any

import click

from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, print_table, printable, progress
from commands.watch import INTERRUPTED, interruption
from errors import Invalid
from generators.catalogue import catalogue
from generators.description import describe
from generators.recipe import Recipe
from maintenance.reports import Report
from settings import get_settings

if TYPE_CHECKING:
    from studio.trial import Made

KINDS = (".wav", ".mp3")
HEADINGS = ("generator", "can start", "seconds", "lyrics", "parameters", "GPU", "what to do")


@click.command()
@click.option("--try", "name", metavar="NAME", help="Make a short piece with this generator.")
@click.option("--prompt", help="With --try: what to make.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="With --try: the length of the piece.")
@click.option("--reference", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="With --try: a recording that the generator listens to.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE",
              help="With --try: keep the piece in this new file, .wav or .mp3.")  # fmt: skip
@json_option
@exit_with_sentence()
def generators(name: str | None, output: Path | None, as_json: bool, **wishes: Any) -> None:
    """List the generators of this machine with whether each can start, or try one.

    A trial leaves the database and the storage folder as they are. If it fails, the exit code is 1.

    Example: flask generators --try synth --seconds 20 --output try.mp3
    """
    settings = get_settings()
    recipes = catalogue(settings)
    if name is None:
        if output or any(wishes.values()):
            raise click.UsageError("--prompt, --seconds, --reference and --output belong to --try NAME.")
        list_recipes(recipes, as_json)
        return
    if name not in recipes:
        raise Invalid(f"There is no generator {printable(name)}; there are: {', '.join(sorted(recipes))}.")
    if output:
        check_output(output)
    if recipes[name].requires("reference_file") and not wishes["reference"]:
        raise Invalid(f"{name} needs a reference recording: add --reference FILE.")
    made = try_recipe(recipes[name], settings.generator_timeout, wishes, output)
    print_made(name, made, output, as_json)


def list_recipes(recipes: dict[str, Recipe], as_json: bool) -> None:
    """Print a line for each recipe."""
    items = [{"job_type": name, **describe(recipe)} for name, recipe in sorted(recipes.items())]
    if as_json:
        print_json({"items": items})
    else:
        print_table(HEADINGS, list(map(_row, items)))


def check_output(path: Path) -> None:
    """Raise Invalid if no piece can be kept in a file with this name."""
    if path.suffix.lower() not in KINDS:
        raise Invalid(f"--output {path}: expected a name that ends in .wav or .mp3.")
    if path.exists():
        raise Invalid(f"--output {path}: there is such a file already. Choose another name, or delete it first.")
    if not path.absolute().parent.is_dir():
        raise Invalid(f"--output {path}: there is no such folder.")


def try_recipe(recipe: Recipe, timeout: float, wishes: dict[str, Any], output: Path | None) -> "Made":
    """Make a piece in a temporary folder. Ends the process with code 1 if that fails, and with 130 after Ctrl-C."""
    from studio.attempt import Failed, Stopped  # only a trial loads the studio
    from studio.trial import Trial

    order = {name: value for name, value in wishes.items() if value is not None}
    with interruption(SIGTERM, SIGHUP) as interrupted, tempfile.TemporaryDirectory(prefix="ledger-trial-") as folder:
        try:
            with progress() as report:
                draw = partial(_draw, report)
                made = Trial(recipe, Path(folder), timeout, interrupted.is_stopping, draw).make(**order)
        except Stopped:
            sys.exit(INTERRUPTED)
        except Failed as failure:
            click.echo("\n".join(map(printable, str(failure).splitlines())), err=True)
            sys.exit(1)
        if output:
            keep(made, output)
    return made


def keep(made: "Made", output: Path) -> None:
    """Copy the piece to its file, which has its name only when it is complete."""
    from maintenance.workplace import publish_new, workplace

    kind = output.suffix.lower().removeprefix(".")
    with workplace(output.absolute().parent) as work:
        copy = work / output.name
        shutil.copyfile(made.files[kind], copy)
        publish_new(copy, output.absolute())


def print_made(name: str, made: "Made", output: Path | None, as_json: bool) -> None:
    """Print what a trial has made, and the seconds of each stage."""
    file = str(output) if output else None
    if as_json:
        made_by = {"version": made.version, "command": made.command, "peak_gpu_mb": made.peak_gpu_mb}
        fields = {"seconds": made.seconds, "stages": made.stages, **made_by, "notes": made.notes, "file": file}
        print_json({"job_type": name, **fields})
        return
    rows = [(_words(stage), f"{seconds:.2f} s") for stage, seconds in made.stages.items()]
    rows += [("music", f"{made.seconds:.2f} s"), ("command", " ".join(made.command))]
    rows += [("GPU memory", f"{made.peak_gpu_mb} MiB")] if made.peak_gpu_mb else []
    rows += [("version", made.version)] if made.version else []
    rows += [("note", note) for note in made.notes] + ([("file", file)] if file else [])
    print_table(("what", "result"), rows)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    seconds = item["seconds"]
    length = "its own choice" if seconds["kind"] == "none" else f"{seconds['min']:g}–{seconds['max']:g}"
    can_start, advice = "yes" if item["can_start"] else "no", "; ".join([*item["problems"], *item["notes"]])
    parameters = ", ".join(item["parameters"])
    return (item["job_type"], can_start, length, item["lyrics"], parameters, item["gpu"] or "", advice)


def _draw(report: Report, stage: str, percent: int) -> None:
    report(_words(stage), percent, 100)


def _words(stage: str) -> str:
    return stage.replace("_", " ")
