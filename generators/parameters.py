"""Parameters: what a job may set in metadata.parameters for one generator."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST = 1000  # characters of a text without max_length
Value = bool | int | float | str


class Parameter(BaseModel):
    """One parameter: its type, its limits, the value if a job sets none, and a sentence for people."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    type: Literal["int", "float", "bool", "text", "choice"]
    min: float | None = None
    max: float | None = None
    max_length: int = Field(LONGEST, ge=1, le=100_000)
    choices: list[str] = []
    default: Value | None = None
    help: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError('expected choices for type = "choice", and only for it')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min <= max, but they are {self.min:g} and {self.max:g}")
        if self.default is not None and not self.accepts(self.default):
            raise ValueError(f"default is {self.default!r}: expected {self.expected}")
        return self

    def accepts(self, value: object) -> bool:
        """True if a job may set this value."""
        if self.type == "bool":
            return isinstance(value, bool)
        if self.type in ("int", "float"):
            return self._is_number(value)
        is_text = isinstance(value, str) and "\0" not in value
        return is_text and (value in self.choices if self.choices else len(str(value)) <= self.max_length)

    def _is_number(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        if self.type == "int" and value != int(value):
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def read(self, text: str) -> Any:
        """The value that a text of a form, file or command stands for; the text itself if it stands for none."""
        if self.type == "bool":
            return {"true": True, "false": False}.get(text, text)
        return read_number(text) if self.type in ("int", "float") else text

    def typed(self, value: Any) -> Any:
        """An accepted value with its type: 6.0 is the int 6."""
        return {"int": int, "float": float}[self.type](value) if self.type in ("int", "float") else value

    @property
    def expected(self) -> str:
        """What a job may set, as words: an integer from 10 to 100."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type == "text":
            return f"text of at most {self.max_length} characters"
        kind = {"int": "an integer", "float": "a number", "bool": "true or false"}[self.type]
        limits = [f"{word} {limit:.12g}" for word, limit in (("from", self.min), ("to", self.max)) if limit is not None]
        return " ".join([kind, *limits])


def read_number(text: str) -> int | float | str:
    """The number that a text stands for, an integer if it is whole; the text itself if it stands for none."""
    if re.fullmatch("[+-]?[0-9]{1,18}", text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def problems(parameters: Mapping[str, Parameter], sent: object) -> Iterator[tuple[str, str]]:
    """(field, message) for everything that is wrong in metadata.parameters."""
    if sent is None:
        return
    if not isinstance(sent, Mapping):
        yield "metadata.parameters", "expected an object, such as {" + ", ".join(parameters) + "}"
        return
    for name, value in sent.items():
        if name not in parameters:
            names = ", ".join(parameters) or "none"
            yield f"metadata.parameters.{name}", f"there is no such parameter; this generator has: {names}"
        elif not parameters[name].accepts(value):
            yield f"metadata.parameters.{name}", f"expected {parameters[name].expected}"


def with_defaults(parameters: Mapping[str, Parameter], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every parameter: the one that was sent, else the default, which may be None."""
    values = {name: sent.get(name, parameter.default) for name, parameter in parameters.items()}
    return {name: value if value is None else parameters[name].typed(value) for name, value in values.items()}
