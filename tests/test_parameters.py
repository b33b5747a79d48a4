"""metadata.parameters: what each type accepts, and the sentence for what it refuses."""

from typing import Any

import pytest

from generators.parameters import Parameter, problems, with_defaults

PARAMETERS = {
    "steps": Parameter(type="int", min=10, max=100, default=32),
    "strength": Parameter(type="float", max=1),
    "chunked": Parameter(type="bool", default=False),
    "voice": Parameter(type="choice", choices=["low", "high"], default="low"),
    "negative": Parameter(type="text", max_length=5),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 10), ("steps", 100.0), ("strength", -3), ("strength", 0.5), ("chunked", True), ("voice", "high"),
     ("negative", ""), ("negative", "12345")],
)  # fmt: skip
def test_a_parameter_accepts_what_it_says(name: str, value: Any) -> None:
    assert list(problems(PARAMETERS, {name: value})) == []
    assert with_defaults(PARAMETERS, {name: value})[name] == value


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 9, "an integer from 10 to 100"), ("steps", 10.5, "an integer"), ("steps", "12", "an integer"),
        ("steps", True, "an integer"), ("strength", 1.1, "a number to 1"), ("strength", float("nan"), "a number"),
        ("chunked", 1, "true or false"), ("voice", "loud", "one of low, high"), ("voice", None, "one of low, high"),
        ("negative", "123456", "text of at most 5 characters"), ("negative", "a\0", "text"),
    ],
)  # fmt: skip
def test_a_value_that_is_refused_is_named(name: str, value: Any, expected: str) -> None:
    ((field, message),) = problems(PARAMETERS, {name: value})
    assert field == f"metadata.parameters.{name}" and message.startswith(f"expected {expected}")


def test_an_unknown_parameter_is_named_with_those_that_there_are() -> None:
    assert list(problems(PARAMETERS, {"step": 1}))[0][1].endswith("has: steps, strength, chunked, voice, negative")
    assert list(problems({}, {"step": 1}))[0][1].endswith("has: none")
    assert list(problems({}, None)) == [] and list(problems({}, [1]))[0][0] == "metadata.parameters"


def test_parameters_that_are_not_sent_have_their_defaults() -> None:
    values = with_defaults(PARAMETERS, {"steps": 12.0})
    assert values == {"steps": 12, "strength": None, "chunked": False, "voice": "low", "negative": None}
    assert isinstance(values["steps"], int)
