"""Rendered files: what stands in them is what was sent, whatever its characters."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generators.recipe import Recipe, RenderedFile
from generators.rendered import paths, render, write

CONTENT = {"style": "{prompt}", "more": ["a {prompt} b", "{seed}", "{ready}", 1.5], "{key}": "{?lyrics}{lyrics}"}
READERS = {"json": json.loads, "yaml": yaml.safe_load, "yml": yaml.safe_load, "toml": tomllib.loads}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize("suffix", READERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(prompt=TEXT)
def test_a_reader_of_the_format_reads_what_was_sent(suffix: str, prompt: str) -> None:
    values = {"prompt": prompt, "seed": 7, "ready": True, "lyrics": ""}
    text = render(RenderedFile(path=f"f.{suffix}", content=CONTENT), [values])
    assert READERS[suffix](text) == {"style": prompt, "more": [f"a {prompt} b", 7, True, 1.5]}


@given(prompt=TEXT)
def test_json_lines_have_one_row_for_each_take(prompt: str) -> None:
    file = RenderedFile(path="f.jsonl", content={"style": "{prompt}", "take": "{take}"})
    lines = render(file, [{"prompt": prompt, "take": 1}, {"prompt": prompt, "take": 2}]).split("\n")
    assert [json.loads(line) for line in lines[:-1]] == [{"style": prompt, "take": take} for take in (1, 2)]
    assert lines[-1] == ""


def test_json_lines_may_have_several_rows_for_a_take() -> None:
    file = RenderedFile(path="f.jsonl", content=[{"a": "{take}"}, {"b": 1}])
    assert render(file, [{"take": 1}]) == '{"a": 1}\n{"b": 1}\n'


def test_a_text_file_has_the_text(tmp_path: Path) -> None:
    described = {"genre": {"path": "genre.txt", "text": "{prompt}"}}
    recipe = Recipe.model_validate({"command": ["x", "{files.genre}"], "files": described})
    write(recipe, tmp_path, [{"prompt": "folk\r\npop"}])
    assert (tmp_path / "genre.txt").read_bytes() == b"folk\r\npop"
    assert paths(recipe, tmp_path) == {"files.genre": str(tmp_path / "genre.txt")}


@pytest.mark.parametrize("value", [None, "", 0, "x"])
def test_an_entry_whose_condition_has_no_value_is_left_out(value: Any) -> None:
    file = RenderedFile(path="f.json", content={"a": "{?n}{n}", "b": ["{?n}x"]})
    left_out = value in (None, "")
    assert json.loads(render(file, [{"n": value}])) == ({"b": []} if left_out else {"a": value, "b": ["x"]})
