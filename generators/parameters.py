"""Parameters: what a job may set in metadata.parameters for one generator."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, WrapValidator, model_validator

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)  # a longer one is read as a float
LONGEST = 1000  # characters of a text without max_length
Value = bool | int | float | str


def _exact(value: object, check: Callable[[object], float]) -> float:
    """An integer as it is: the float for it would be another number if it is large."""
    return value if isinstance(value, int) and not isinstance(value, bool) else check(value)


Number = Annotated[float, Field(allow_inf_nan=False), WrapValidator(_exact)]


class Parameter(BaseModel):
    """One parameter: its type, its limits, the value if a job sets none, and a sentence for people."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    type: Literal["int", "float", "bool", "text", "choice"]
    min: Number | None = None
    max: Number | None = None
    max_length: int = Field(LONGEST, ge=1, le=100_000)
    choices: list[str] = []
    default: Value | None = None
    help: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError('expected choices for type = "choice", and only for it')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min <= max, but they are {digits(self.min)} and {digits(self.max)}")
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
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not (math.isfinite(value) and (self.type == "float" or value.is_integer())):
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
        limits = [
            f"{word} {digits(limit)}" for word, limit in (("from", self.min), ("to", self.max)) if limit is not None
        ]
        return " ".join([kind, *limits])


def read_number(text: str) -> int | float | str:
    """The number that a text stands for, an integer if it is whole; the text itself if it stands for none."""
    if not NUMBER.fullmatch(text.strip()):
        return text
    if INTEGER.fullmatch(text.strip()):
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def digits(number: float) -> str:
    """All digits of a number, as a form and read_number() read it; an integer has no exponent."""
    is_whole = isinstance(number, int) or (number.is_integer() and abs(number) < 1e21)
    return str(int(number)) if is_whole else repr(number)


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
