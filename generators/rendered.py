"""Rendered files: JSON, JSON Lines, YAML, TOML or text that a recipe describes, written before its generator starts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generators.recipe import Recipe, RenderedFile
from generators.templates import Template


def paths(recipe: Recipe, folder: Path) -> dict[str, str]:
    """The values of the placeholders {files.…}: the paths of the files in this folder."""
    return {f"files.{name}": str(folder / file.path) for name, file in recipe.files.items()}


def write(recipe: Recipe, folder: Path, takes: Sequence[Mapping[str, Any]]) -> None:
    """Write the files of a recipe into a folder. takes: the values of each take that the run makes.

    JSON Lines have the rows of every take, other files the values of the first. Raises KeyError for a missing value.
    """
    for file in recipe.files.values():
        (folder / file.path).write_text(render(file, takes), "utf-8", newline="\n")


def render(file: RenderedFile, takes: Sequence[Mapping[str, Any]]) -> str:
    """The text of a file. Values are escaped as its format needs it."""
    if file.text is not None:
        return file.text.text(takes[0])
    if file.suffix == "jsonl":
        return "".join(f"{_json(row)}\n" for values in takes for row in _rows(_filled(file.parsed, values)))
    content = _filled(file.parsed, takes[0])
    if file.suffix == "toml":
        import tomli_w  # only recipes with such a file need these modules

        return tomli_w.dumps(content)
    if file.suffix == "json":
        return _json(content)
    import yaml

    return str(
        yaml.safe_dump(  # type: ignore[no-untyped-call]
            content, allow_unicode=False, sort_keys=False, width=10**9
        )
    )


def check(recipe: Recipe) -> None:
    """Raise ValueError if a file cannot be written, because its content has a value that its format does not know."""
    for name, file in recipe.files.items():
        try:
            render(file, [dict.fromkeys(recipe.placeholders, "") | {"metadata": {}}])
        except Exception as error:  # each library has its own errors
            raise ValueError(f"files.{name}.content: expected values that {file.suffix} can have ({error})") from None


def _filled(content: Any, values: Mapping[str, Any]) -> Any:
    """The content with its values. An entry of a table or an array whose condition has no value is left out."""
    if isinstance(content, dict):
        return {key: _filled(value, values) for key, value in content.items() if _is_used(value, values)}
    if isinstance(content, list):
        return [_filled(value, values) for value in content if _is_used(value, values)]
    return content.value(values) if isinstance(content, Template) else content


def _is_used(content: Any, values: Mapping[str, Any]) -> bool:
    return not isinstance(content, Template) or content.is_used(values)


def _rows(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
