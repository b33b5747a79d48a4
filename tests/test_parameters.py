"""metadata.parameters: what each type accepts, and the sentence for what it refuses."""

from typing import Any

import pytest

from generators.parameters import Parameter, digits, problems, read_number, with_defaults

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


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" -7 ", -7), ("+7", 7), ("7.50", 7.5), (".5", 0.5), ("6e1", 60), ("6.0", 6), ("1e-3", 0.001),
     ("9223372036854775807", 2**63 - 1), ("-9007199254740993", -(2**53) - 1), ("1" * 30, float("1" * 30))],
)  # fmt: skip
def test_a_number_is_read_exactly(text: str, number: float) -> None:
    value = read_number(text)
    assert value == number and type(value) is type(number)


@pytest.mark.parametrize("text", ["2_0", "٣", "１２", "nan", "inf", "1e999", "0x10", "1,5", "--1", "1e", ".", ""])
def test_what_is_no_number_stays_text(text: str) -> None:
    assert read_number(text) == text


def test_limits_are_printed_with_all_their_digits() -> None:
    large = Parameter(type="int", min=-(2**53) - 1, max=2**63 - 1)
    assert large.expected == "an integer from -9007199254740993 to 9223372036854775807"
    assert large.accepts(2**63 - 1) and not large.accepts(2**63)
    assert [digits(number) for number in (95.0, 0.1, 1e20, 0.1234567890123456)] == [
        "95", "0.1", "100000000000000000000", "0.1234567890123456",
    ]  # fmt: skip
