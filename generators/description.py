"""Descriptions of recipes as JSON objects: what a generator makes and takes, and whether it can start here."""

from typing import Any

from generators.parameters import Parameter
from generators.readiness import readiness
from generators.recipe import Recipe


def describe(recipe: Recipe) -> dict[str, Any]:
    """The description of a recipe. It does not say how the generator is started."""
    ready = readiness(recipe)
    return {
        "can_start": ready.can_start,
        "problems": ready.problems,
        "notes": ready.notes,
        "seconds": {
            "min": _short(recipe.seconds.min),
            "max": _short(recipe.seconds.max),
            "usual": _short(recipe.seconds.default),
            "kind": recipe.seconds.kind,
        },
        "lyrics": recipe.lyrics.form,
        "reference": _reference(recipe),
        "batch": recipe.batch,
        "is_seeded": recipe.is_seeded,
        "parameters": {name: _parameter(parameter) for name, parameter in recipe.parameters.items()},
        "licence": recipe.licence,
        "gpu": recipe.gpu,
    }


def _reference(recipe: Recipe) -> str:
    """Whether the generator listens to a recording: required, optional or none."""
    if recipe.requires("reference_file"):
        return "required"
    return "optional" if recipe.uses("reference_file") else "none"


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """The fields of a parameter. max_length is null for other types than text."""
    limits = {"min": _short(parameter.min), "max": _short(parameter.max)}
    return {
        **parameter.model_dump(),
        **limits,
        "max_length": parameter.max_length if parameter.type == "text" else None,
    }


def _short(number: float | None) -> float | int | None:
    """A whole number as an integer, so that JSON has 95 and not 95.0."""
    return int(number) if number is not None and float(number).is_integer() else number
