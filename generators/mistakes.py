"""Sentences for mistakes in generators.toml: the key, its value, and what was expected."""

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from generators.parameters import Parameter
from generators.recipe import Lyrics, Recipe, RenderedFile, Seconds

INSIDE: dict[str, type[BaseModel]] = {
    "seconds": Seconds,
    "lyrics": Lyrics,
    "parameters": Parameter,
    "files": RenderedFile,
}
EXPECTED = {  # by the type of pydantic's error
    "list_type": 'expected a list of texts, such as ["a", "b"]',
    "dict_type": "expected a table with its keys, such as { a = 1 }",
    "model_type": "expected a table with its keys, such as { a = 1 }",
    "string_type": "expected a text in quotes",
    "string_too_short": "expected a text that is not empty",
    "too_short": "expected at least one entry",
    "time_delta_type": 'expected a text such as "30m"',
    "bool_type": "expected true or false",
    "finite_number": "expected a finite number",
    "float_type": "expected a number",
    "int_type": "expected an integer",
}
NAME = "expected a name of letters, digits, _ and -, which begins with a letter"


def sentence(problem: dict[str, Any]) -> str:
    """One problem of pydantic as a sentence."""
    steps = [str(step) for step in problem["loc"] if not str(step).startswith("function-")]
    if problem["type"] == "extra_forbidden":
        return f"{'.'.join(steps)}: there is no such key; {_keys(steps, problem['input'])}"
    if problem["type"] == "missing":
        return f"{'.'.join(steps)} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error" and not steps:
        return message
    if steps[-1] == "[key]":
        message = NAME if problem["type"] == "string_pattern_mismatch" else message
    message = EXPECTED.get(problem["type"], message.replace("Input should be", "expected"))
    shown = repr(problem["input"])[:80]
    return f"{'.'.join(steps).removesuffix('.[key]')} is {shown}: {message[:1].lower()}{message[1:]}"


def _keys(steps: list[str], value: Any) -> str:
    """What to write instead of an unknown key."""
    if len(steps) == 1 and isinstance(value, dict) and {"command", "serve"} & value.keys():
        return f'a job type with a dot stands in quotes, such as ["a.{steps[0]}"]'
    keys = list((INSIDE.get(steps[0], Recipe) if len(steps) > 1 else Recipe).model_fields)
    near = get_close_matches(steps[-1], keys, 1)
    return f"did you mean {near[0]}?" if near else "expected one of " + ", ".join(keys)
