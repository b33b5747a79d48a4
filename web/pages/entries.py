"""Turns the entries of a form into the body of a REST request."""

from collections.abc import Mapping
from typing import Any

from errors import Invalid
from generators.parameters import Parameter, read_number
from generators.recipe import Recipe
from models import CANDIDATES, MOST_BARS

WORDS = (
    "genre",
    "mood",
    "language",
    "lyrics",
    "reference_track",
)  # fields of the form for a job that become its metadata
COUNTS = ("takes", "seed")
OWN = "parameters."  # the field parameters.steps is metadata.parameters.steps of the job
NUMBERS = tuple(map(str, range(1, CANDIDATES + 1)))  # of the candidates
Form = Mapping[str, str]


def job_of(form: Form, recipe: Recipe | None) -> dict[str, Any]:
    """The body for the form of a job. Of the parameters, it has those of the recipe. Raises Invalid."""
    filled = {name: text.strip() for name, text in form.items() if text.strip()}
    metadata: dict[str, Any] = {name: filled[name] for name in WORDS if name in filled}
    if "duration" in filled:
        metadata["duration"] = seconds(form, "duration")
    if parameters := parameters_of(filled, recipe.parameters if recipe else {}):
        metadata["parameters"] = parameters
    counts = {name: read_number(filled[name]) for name in COUNTS if name in filled}
    return {"prompt": form.get("prompt", ""), "job_type": form.get("job_type", ""), "metadata": metadata, **counts}


def parameters_of(filled: Form, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The parameters that were filled in. What is no value of its type stays text, which the check refuses."""
    texts = {name: filled[OWN + name] for name in parameters if OWN + name in filled}
    return {name: parameters[name].read(text) for name, text in texts.items()}


def loop_of(form: Form) -> dict[str, Any]:
    """The body for the form of a loop. Raises Invalid."""
    fade, candidate = form.get("fade_in_out") == "true", form.get("candidate")
    body = {**loop_length(form), "fade_in_out": fade, "format": form.get("format", "")}
    if "intro" in form:
        body["intro"] = form["intro"] == "true"
    if fade and body.get("intro") is False:
        raise Invalid("a file that fades in and out does not repeat as a whole: choose one of the two", "intro")
    if candidate is None:
        return body
    if candidate not in NUMBERS:
        raise Invalid(f"candidate must be an integer from 1 to {CANDIDATES}", "candidate")
    return {**body, "candidate": int(candidate)}


def loop_length(form: Form) -> dict[str, Any]:
    """The seconds or the bars of a loop; seconds are left out if there are only bars. Raises Invalid."""
    filled = {name: form[name] for name in ("duration", "bars") if form.get(name, "").strip()}
    if not filled:
        raise Invalid("expected a number of seconds or of bars", "duration")
    if "bars" not in filled:
        return {"duration": seconds(form, "duration")}
    if "duration" in filled:
        raise Invalid("expected seconds or bars, not both", "bars")
    bars = read_number(filled["bars"].strip())
    if not isinstance(bars, int) or not 1 <= bars <= MOST_BARS:
        raise Invalid(f"expected a whole number from 1 to {MOST_BARS}", "bars")
    return {"bars": bars}


def seconds(form: Form, name: str) -> float:
    """A number of seconds. Raises Invalid."""
    value = read_number(form.get(name, "").strip())
    if isinstance(value, str) or value <= 0:
        raise Invalid("expected a number of seconds above 0", name)
    return value
