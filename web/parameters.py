"""Describes metadata.parameters in the OpenAPI document: one schema for each recipe that has parameters."""

from collections.abc import Mapping
from typing import Any

from generators.parameters import Parameter
from generators.recipe import Recipe

TYPES = {"int": "integer", "float": "number", "bool": "boolean", "text": "string", "choice": "string"}
LIMITS = {"min": "minimum", "max": "maximum"}
DESCRIPTION = "what the generator of the job_type takes"
NEW_JOBS = ("NewJob", "JobPatch")  # the schemas with metadata that a recipe is for


def describe_parameters(schemas: dict[str, Any], recipes: Mapping[str, Recipe]) -> None:
    """Add the schemas of the parameters, and refer to them in metadata.parameters of a job.

    metadata stays any object, because another worker may have other recipes, and not every job is checked.
    """
    described = {f"ParametersOf_{name}": _of_recipe(recipe) for name, recipe in recipes.items() if recipe.parameters}
    if not described:
        return
    schemas.update(described)
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in described]
    for name in NEW_JOBS:
        metadata = schemas[name]["properties"]["metadata"]
        any_of = [*refs, metadata["additionalProperties"]]
        metadata["properties"] = {"parameters": {"description": DESCRIPTION, "anyOf": any_of}}


def _of_recipe(recipe: Recipe) -> dict[str, Any]:
    properties = {name: _of_parameter(parameter) for name, parameter in recipe.parameters.items()}
    description = f"metadata.parameters of a job with the job_type {recipe.name}"
    return {"type": "object", "description": description, "properties": properties, "additionalProperties": False}


def _of_parameter(parameter: Parameter) -> dict[str, Any]:
    limits = {word: getattr(parameter, key) for key, word in LIMITS.items() if parameter.type in ("int", "float")}
    described = {
        "type": TYPES[parameter.type],
        "description": parameter.help or None,
        "default": parameter.default,
        "enum": parameter.choices or None,
        "maxLength": parameter.max_length if parameter.type == "text" else None,
        **limits,
    }
    return {key: value for key, value in described.items() if value is not None}
