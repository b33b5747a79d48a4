"""Orders: what a generator gets for a job. They are checked when the job is recorded, and again before it is made."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from errors import Invalid
from generators import parameters
from generators.changes import NOT_SUNG, agreeing, amount
from generators.dialects import write_lyrics
from generators.recipe import PLACEHOLDERS, Recipe

NUMBER = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)
ARGUMENT_BYTES = 131_071  # of one argument of a command line; Linux accepts no longer one
MOST_LYRICS = 200_000  # characters; reading them takes up to a second
MOST_PROBLEMS = 100  # in one refusal
NO_REFERENCE = "this generator needs a reference recording: expected the id of a track, or an upload before the job"
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


def order_of(
    recipe: Recipe,
    prompt: str | None,
    metadata: Mapping[str, Any],
    lyrics: str | None = None,
    has_reference: bool = False,
) -> Order:
    """The order for a job. lyrics: the text of metadata.lyrics_file, which is used if there is no metadata.lyrics.

    has_reference: a reference recording was uploaded for the job. It is used instead of metadata.reference_track.
    Raises Invalid, which has the problems by field, at most a hundred.
    """
    if wrong := list(islice(problems(recipe, prompt, metadata, has_reference), MOST_PROBLEMS)):
        errors = [{"field": field, "message": message} for field, message in wrong]
        raise Invalid("; ".join(f"{field}: {message}" for field, message in wrong), errors=errors)
    duration = metadata.get("duration")
    seconds = nearest(recipe, read_seconds(duration))
    written, about_lyrics = _written(recipe, metadata.get("lyrics") or lyrics or "", seconds)
    sections = _sections(recipe, written)
    if duration is None and sections and recipe.seconds.kind == "segments":
        seconds = nearest(recipe, sections * recipe.seconds.segment)
    segments = math.ceil(seconds / recipe.seconds.segment)
    notes = [*about_length(recipe, duration, seconds), *about_lyrics, *about_sections(recipe, sections, segments)]
    notes += about_reference(recipe, metadata, has_reference)
    settings = parameters.with_defaults(recipe.parameters, metadata.get("parameters") or {})
    order = Order(prompt or "", seconds, segments, written, settings, dict(metadata), notes)
    values = dict.fromkeys(recipe.placeholders, "") | order.values()
    _check_arguments(recipe, values)
    _check_toml(recipe, values)
    return order


def _written(recipe: Recipe, text: str, seconds: float) -> tuple[str, list[str]]:
    """The lyrics in the form of the generator, and notes about them."""
    spare = sings(recipe) and recipe.lyrics.has_spare(seconds)
    if not text:
        return _without_words(recipe.lyrics.form) if spare else ("", [])
    return write_lyrics(text, recipe.lyrics.form if sings(recipe) else "none", seconds, spare)


@cache
def _without_words(form: str) -> tuple[str, list[str]]:
    """The lyrics of a song without words for a generator that needs a spare last section."""
    return write_lyrics("", form, 1, spare_last=True)


def _sections(recipe: Recipe, written: str) -> int:
    """The number of sections of the lyrics, for a generator that sings one in each segment; else 0."""
    if recipe.lyrics.form != "sections" or not written:
        return 0
    return len(written.split("\n\n")) - recipe.lyrics.spare_last


def problems(
    recipe: Recipe, prompt: str | None, metadata: Mapping[str, Any], has_reference: bool = False
) -> Iterator[Problem]:
    """(field, message) for everything in a job that this generator cannot use."""
    if recipe.uses("prompt") and not (prompt or "").strip():
        yield "prompt", f"the job has no prompt: a generator for {recipe.name} needs one"
    duration, lyrics = metadata.get("duration"), metadata.get("lyrics")
    if read_seconds(duration) is None and duration is not None:
        yield "metadata.duration", f"{shown(duration)}: expected a number of seconds above 0, such as 120"
    if lyrics is not None and not isinstance(lyrics, str):
        yield "metadata.lyrics", f"{shown(lyrics)}: expected text"
    elif lyrics is not None and len(lyrics) > MOST_LYRICS:
        yield "metadata.lyrics", f"expected at most {MOST_LYRICS} characters"
    if recipe.requires("reference_file") and metadata.get("reference_track") is None and not has_reference:
        yield "metadata.reference_track", NO_REFERENCE
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
    if not rule.whole:
        return min(max(requested or rule.default, rule.min), rule.max)
    rounded = math.floor(min(requested or rule.default, rule.max) + 0.5)
    return min(max(rounded, math.ceil(rule.min)), math.floor(rule.max))


def about_length(recipe: Recipe, duration: object, seconds: float) -> list[str]:
    """A note if the music will not have the length of metadata.duration."""
    rule, requested = recipe.seconds, read_seconds(duration)
    if requested is None or (seconds == requested and rule.kind in ("exact", "ceiling")):
        return []
    as_requested = f"metadata.duration is {shown(duration)} {'second' if requested == 1 else 'seconds'}"
    if rule.kind == "none":
        return [f"{as_requested}: the generator itself chooses the length"]
    if rule.kind == "segments":
        pieces, length = math.ceil(seconds / rule.segment), amount(rule.segment, "second")
        return [f"{as_requested}: the generator makes segments of about {length}, so it makes {pieces} of them"]
    unit = UNIT[rule.whole]
    made = amount(seconds, "second")
    return [f"{as_requested}: the generator makes {rule.min:g} to {rule.max:g} {unit}, so it makes {made}"]


def about_sections(recipe: Recipe, sections: int, segments: int) -> list[str]:
    """A note if a generator that sings one section in each segment makes fewer segments than there are sections."""
    if recipe.seconds.kind != "segments" or sections <= segments:
        return []
    left_out = sections - segments
    of_all, song = f"of {amount(sections, 'section')} of lyrics", amount(segments, "segment")
    return [f"{left_out} {of_all} {agreeing(left_out, NOT_SUNG)}: the song has {song}"]


def about_reference(recipe: Recipe, metadata: Mapping[str, Any], has_reference: bool) -> list[str]:
    """A note if the reference track or the uploaded recording of a job is not used."""
    has_track = metadata.get("reference_track") is not None
    if not recipe.uses("reference_file"):
        unused = ["metadata.reference_track"] * has_track + ["the uploaded recording"] * has_reference
        return [f"{recipe.name} takes no reference recording: {name} is not used" for name in unused]
    if has_reference and has_track:
        return ["metadata.reference_track is not used: the job has an uploaded reference recording"]
    return []


def shown(value: object) -> str:
    """A value as JSON, short enough for a sentence."""
    return json.dumps(value, ensure_ascii=False)[:80]


def sings(recipe: Recipe) -> bool:
    """True if the generator gets lyrics."""
    return recipe.lyrics.form != "none" and recipe.uses("lyrics", "lyrics_file")


def _check_arguments(recipe: Recipe, values: Mapping[str, Any]) -> None:
    """Raise Invalid if a value is too long for a command line, or has a NUL character."""
    for template in recipe.arguments:
        text = template.text(values) if template.is_used(values) else ""
        if "\0" in text or len(text.encode("utf-8", "replace")) > ARGUMENT_BYTES:
            used = [slot.name for slot in template.slots]
            names = " and ".join(_field(name) for name in used)
            raise Invalid(
                f"{names}: expected at most {ARGUMENT_BYTES} bytes and no NUL, as it is an argument of a command line",
                _field(used[0]),
            )


def _check_toml(recipe: Recipe, values: Mapping[str, Any]) -> None:
    """Raise Invalid if a value with null in it would have to be written as TOML, which has none."""
    for template in recipe.toml:
        if template.is_used(values) and _has_null(template.value(values)):
            field = _field(next(template.slots).name)
            raise Invalid(f"{field}: expected no null in it, as the generator reads TOML, which has none", field)


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_null, value.values()))
    return any(map(_has_null, value)) if isinstance(value, list) else value is None


def _field(placeholder: str) -> str:
    """The field of a job that a placeholder gets its value from."""
    if placeholder == "prompt" or placeholder.startswith("metadata."):
        return placeholder
    return f"metadata.{placeholder}" if placeholder in PLACEHOLDERS else f"metadata.parameters.{placeholder}"
