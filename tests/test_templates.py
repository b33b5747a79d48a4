"""Templates: what fills a placeholder, what is left out, and that a word stays one argument."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.templates import fill, map_texts, parse

TRICKY = "--flags $(reboot) `x` {prompt} {{}} 'a' \"b\" \\ \n\t ; | && * ~ 🎵 %s"


@given(st.text())
def test_a_value_arrives_as_it_is(value: str) -> None:
    assert fill([parse("{prompt}"), parse("--x={prompt}")], {"prompt": value}) == [value, f"--x={value}"]


def test_values_with_placeholders_are_not_filled_again() -> None:
    assert fill([parse("a {prompt} b")], {"prompt": TRICKY, "seed": 1}) == [f"a {TRICKY} b"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{seed}", "7"), ("{duration}", "12.5"), ("{ready}", "true"), ("{metadata.genre|pop}", "folk"),
        ("{metadata.mood|}", ""), ("{metadata.a.b|}", "deep"), ("{metadata.genre.x|none}", "none"),
        ("{{seed}}", "{seed}"), ("x{{{seed}}}", "x{7}"), ("{metadata.list|}", '[1, "zwölf"]'),
    ],
)  # fmt: skip
def test_placeholders_are_filled(text: str, filled: str) -> None:
    metadata = {"genre": "folk", "a": {"b": "deep"}, "mood": None, "list": [1, "zwölf"]}
    values = {"seed": 7, "duration": 12.5, "ready": True, "metadata": metadata}
    assert parse(text).text(values) == filled


@pytest.mark.parametrize(("value", "is_kept"), [(True, True), (0, True), ("x", True), (False, False), ("", False),
                                                (None, False), ([], False), ({}, False)])  # fmt: skip
def test_a_condition_keeps_a_word_if_there_is_a_value(value: Any, is_kept: bool) -> None:
    assert fill([parse("{?chunked}--chunked")], {"chunked": value}) == ["--chunked"] * is_kept


def test_a_condition_looks_into_the_metadata() -> None:
    words = [parse("{?metadata.genre}--genre={metadata.genre}"), parse("{?metadata.mood}--mood")]
    assert fill(words, {"metadata": {"genre": "folk"}}) == ["--genre=folk"]


def test_a_condition_that_is_no_placeholder_is_a_key_of_the_metadata() -> None:
    words = [parse("{?chunked}--chunked")]
    assert fill(words, {"metadata": {"chunked": True}}) == ["--chunked"]
    assert fill(words, {"metadata": {}}) == fill(words, {"chunked": False, "metadata": {"chunked": True}}) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345678901234568, "0.12345678901234568"), (1234567890123.0, "1234567890123"), (1e300, "1e+300")],
)
def test_numbers_keep_all_their_digits(value: float, text: str) -> None:
    assert parse("{cfg}").text({"cfg": value}) == text and float(text) == value


def test_a_slot_alone_keeps_the_type_of_its_value() -> None:
    values = {"seed": 7, "ready": False}
    assert parse("{seed}").value(values) == 7 and parse("{ready}").value(values) is False
    assert parse("{seed} ").value(values) == "7 " and parse("{take|1}").value(values) == "1"


@pytest.mark.parametrize("text", ["{", "a}", "{a b}", "{}", "{1x}", "{?a b}x", "{a{b}}", "{?}x"])
def test_a_text_with_a_wrong_placeholder_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(text)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match="seed"):
        parse("{seed}").text({})


def test_the_texts_of_content_are_changed_and_its_keys_are_not() -> None:
    assert map_texts({"a": ["b", {"a": "c"}], "n": 1}, str.upper) == {"a": ["B", {"a": "C"}], "n": 1}
