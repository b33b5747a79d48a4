"""Templates: texts with placeholders such as {prompt}, checked once at start and filled for each job.

`{name}` is replaced by a value, `{name|default}` by the default if there is no value, and `{{` and `}}` are braces. A
text that begins with `{?name}` is left out if there is no value.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(r"{{|}}|{(?P<name>[^{}|]*)(?:\|(?P<default>[^{}]*))?}|[{}]")
CONDITION = re.compile(r"{\?(?P<name>[^{}|]*)}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[^{}|.]+)*")
EXACT = 2.0**53  # every whole number below it is a float


@dataclass(frozen=True)
class Slot:
    """The place of a value, and the text that stands there if there is no value."""

    name: str
    default: str | None = None


@dataclass(frozen=True)
class Template:
    """A text with slots; with a condition, the text is used only if this name has a value."""

    parts: tuple[str | Slot, ...]
    condition: str | None = None

    @property
    def slots(self) -> Iterator[Slot]:
        """The slots, in order."""
        return (part for part in self.parts if isinstance(part, Slot))

    @property
    def is_fixed(self) -> bool:
        """True if the text is the same for every job."""
        return self.condition is None and not any(self.slots)

    def is_used(self, values: Mapping[str, Any]) -> bool:
        """True if the text has no condition, or if its condition has a value: not null, "", [], {} or false.

        A name that is no placeholder is a key of the metadata.
        """
        if self.condition is None:
            return True
        name = self.condition if self.condition in values or "." in self.condition else f"metadata.{self.condition}"
        return not is_empty(value_of(values, name))

    def text(self, values: Mapping[str, Any]) -> str:
        """The text with its values. Raises KeyError with the name of a slot that has neither value nor default."""
        return "".join(part if isinstance(part, str) else as_text(self._value(part, values)) for part in self.parts)

    def value(self, values: Mapping[str, Any]) -> Any:
        """The value with its JSON type if the text is one slot alone; else the text. Raises KeyError as text() does."""
        is_alone = len(self.parts) == 1 and isinstance(self.parts[0], Slot)
        return self._value(self.parts[0], values) if is_alone else self.text(values)  # type: ignore[arg-type]

    def _value(self, slot: Slot, values: Mapping[str, Any]) -> Any:
        value = value_of(values, slot.name)
        if value is not None:
            return value
        if slot.default is None:
            raise KeyError(slot.name)
        return slot.default


def parse(text: str) -> Template:
    """The template of a text. Raises ValueError with a sentence."""
    if "\0" in text:
        raise ValueError("expected no NUL character")
    condition = CONDITION.match(text)
    if condition and not NAME.fullmatch(condition["name"]):
        raise ValueError(f"{condition[0]} is no condition; expected a name, such as {{?seed}}")
    parts = tuple(_parts(text[condition.end() :] if condition else text))
    return Template(parts, condition["name"] if condition else None)


def _parts(text: str) -> Iterator[str | Slot]:
    end = 0
    for token in TOKEN.finditer(text):
        if token.start() > end:
            yield text[end : token.start()]
        end = token.end()
        yield _part(token)
    if end < len(text):
        yield text[end:]


def _part(token: re.Match[str]) -> str | Slot:
    if token[0] in ("{{", "}}"):
        return token[0][0]
    if token["name"] is None:
        raise ValueError(f"there is a single {token[0]}; expected a placeholder, or {token[0] * 2} for the character")
    if not NAME.fullmatch(token["name"]):
        raise ValueError(f"{token[0]} is no placeholder; expected a name in the braces, such as {{prompt}}")
    return Slot(token["name"], token["default"])


def fill(templates: list[Template], values: Mapping[str, Any]) -> list[str]:
    """The texts of a command line. Each template is one argument or none, whatever its values contain."""
    return [template.text(values) for template in templates if template.is_used(values)]


def map_texts(content: Any, change: Callable[[str], Any]) -> Any:
    """A copy of JSON-like content in which each text (not the keys) is replaced by change(text)."""
    if isinstance(content, dict):
        return {key: map_texts(value, change) for key, value in content.items()}
    if isinstance(content, list):
        return [map_texts(value, change) for value in content]
    return change(content) if isinstance(content, str) else content


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """The value of a name; None if there is none. metadata.a.b is looked up step by step."""
    if name in values:
        return values[name]
    place: Any = values
    for key in name.split("."):
        place = place.get(key) if isinstance(place, Mapping) else None
    return place


def is_empty(value: Any) -> bool:
    """True for what counts as no value in a condition. 0 is a value."""
    return value is None or value is False or (hasattr(value, "__len__") and len(value) == 0)


def as_text(value: Any) -> str:
    """A value as a generator reads it on its command line: 12.5, true, words, or JSON for lists and objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
