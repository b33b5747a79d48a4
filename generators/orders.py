"""Orders: what a generator gets for a job. They are checked when the job is recorded, and again before it is made."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from errors import Invalid
from generators import parameters
from generators.dialects import write_lyrics
from generators.recipe import PLACEHOLDERS, Recipe

NUMBER = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)
ARGUMENT_BYTES = 131_071  # of one argument of a command line; Linux accepts no longer one
UNIT = {True: "whole seconds", False: "seconds"}
Problem = tuple[str, str]  # (field, message)


@dataclass(frozen=True)
class Order:
    """Prompt, seconds, lyrics in the form of the generator, the value of every parameter, and notes.

    A note is a sentence that says how the order differs from the job: for a listener.
    """

    prompt: str
    seconds: float
    segments: int
    lyrics: str
    parameters: dict[str, Any]
    metadata: dict[str, Any]
    notes: list[str]

    def values(self) -> dict[str, Any]:
        """The values of the placeholders that do not depend on the attempt."""
        whole = int(self.seconds) if float(self.seconds).is_integer() else self.seconds
        return {
            "prompt": self.prompt,
            "lyrics": self.lyrics,
            "duration": whole,
            "duration_ms": round(1000 * self.seconds),
            "segments": self.segments,
            "metadata": self.metadata,
            **self.parameters,
        }


def order_of(recipe: Recipe, prompt: str | None, metadata: Mapping[str, Any], lyrics: str | None = None) -> Order:
    """The order for a job. lyrics: the text of metadata.lyrics_file, which is used if there is no metadata.lyrics.

    Raises Invalid, which has all problems by field.
    """
    if found := list(problems(recipe, prompt, metadata)):
        errors = [{"field": field, "message": message} for field, message in found]
        raise Invalid("; ".join(f"{field}: {message}" for field, message in found), errors=errors)
    requested = read_seconds(metadata.get("duration"))
    seconds = nearest(recipe, requested)
    text = metadata.get("lyrics") or lyrics or ""
    spare = recipe.lyrics.has_spare(seconds)
    written, about_lyrics = write_lyrics(text, recipe.lyrics.form, seconds, spare) if _sings(recipe) else ("", [])
    if text and not _sings(recipe):
        about_lyrics = [f"a generator for {recipe.name} takes no lyrics: they are not sung"]
    order = Order(
        prompt or "",
        seconds,
        math.ceil(seconds / recipe.seconds.segment),
        written,
        parameters.with_defaults(recipe.parameters, metadata.get("parameters") or {}),
        dict(metadata),
        [*about_length(recipe, metadata.get("duration"), requested, seconds), *about_lyrics],
    )
    _check_arguments(recipe, order)
    return order


def problems(recipe: Recipe, prompt: str | None, metadata: Mapping[str, Any]) -> Iterator[Problem]:
    """(field, message) for everything in a job that this generator cannot use."""
    if recipe.uses("prompt") and not (prompt or "").strip():
        yield "prompt", f"the job has no prompt: a generator for {recipe.name} needs one"
    duration, lyrics = metadata.get("duration"), metadata.get("lyrics")
    if read_seconds(duration) is None and duration is not None:
        yield "metadata.duration", f"{shown(duration)}: expected a number of seconds above 0, such as 120"
    if lyrics is not None and not isinstance(lyrics, str):
        yield "metadata.lyrics", f"{shown(lyrics)}: expected text"
    yield from parameters.problems(recipe.parameters, metadata.get("parameters"))


def read_seconds(duration: object) -> float | None:
    """metadata.duration as a number above 0; None for anything else."""
    if isinstance(duration, str) and NUMBER.fullmatch(duration):
        duration = float(duration)
    if isinstance(duration, int | float) and not isinstance(duration, bool) and 0 < duration < math.inf:
        return duration
    return None


def nearest(recipe: Recipe, requested: float | None) -> float:
    """The length in seconds that the generator can make and that is nearest to these seconds."""
    rule = recipe.seconds
    within = min(max(requested or rule.default, rule.min), rule.max)
    return math.floor(within + 0.5) if rule.whole else within


def about_length(recipe: Recipe, duration: object, requested: float | None, seconds: float) -> list[str]:
    """A note if the music will not have the length of metadata.duration."""
    rule = recipe.seconds
    if requested is None or (seconds == requested and rule.kind == "exact"):
        return []
    asked = f"metadata.duration is {shown(duration)} seconds"
    if rule.kind == "none":
        return [f"{asked}: the generator itself chooses the length"]
    if rule.kind == "segments":
        pieces = math.ceil(seconds / rule.segment)
        return [f"{asked}: the generator makes segments of about {rule.segment:g} seconds, so {pieces} are generated"]
    if seconds != requested:
        unit = UNIT[rule.whole]
        note = f"the generator takes {rule.min:g} to {rule.max:g} {unit}, so {seconds:.12g} are generated"
        return [f"{asked}: {note}"]
    return []


def shown(value: object) -> str:
    """A value as JSON, short enough for a sentence."""
    return json.dumps(value, ensure_ascii=False)[:80]


def _sings(recipe: Recipe) -> bool:
    return recipe.lyrics.form != "none" and recipe.uses("lyrics", "lyrics_file")


def _check_arguments(recipe: Recipe, order: Order) -> None:
    """Raise Invalid if a value is too long for a command line, or has a NUL character."""
    values: dict[str, Any] = {name: "" for name in PLACEHOLDERS} | order.values()
    values |= {f"files.{name}": "" for name in recipe.files}
    for template in [*(recipe.command or []), *recipe.env.values()]:
        used = [slot.name for slot in template.slots]
        text = template.text(values) if used and template.is_used(values) else ""
        if "\0" in text or len(text.encode("utf-8", "replace")) > ARGUMENT_BYTES:
            names = " and ".join(_field(name) for name in used)
            raise Invalid(
                f"{names}: expected at most {ARGUMENT_BYTES} bytes and no NUL, as it is an argument of a command line",
                _field(used[0]),
            )


def _field(placeholder: str) -> str:
    """The field of a job that a placeholder gets its value from."""
    if placeholder == "prompt" or placeholder.startswith("metadata."):
        return placeholder
    return f"metadata.{placeholder}" if placeholder in PLACEHOLDERS else f"metadata.parameters.{placeholder}"
