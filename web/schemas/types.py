"""The types of single fields, with their limits and their descriptions in the OpenAPI document."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from models import CANDIDATES, ID_LENGTH, ID_PATTERN, LARGEST_SEED, LONGEST_TITLE, MOST_BARS, MOST_TAKES

METADATA_PATH = r'^[^"\\.\x00-\x1f]{1,64}(\.[^"\\.\x00-\x1f]{1,64}){0,7}$'
MetadataFilter = dict[Annotated[str, Field(pattern=METADATA_PATH)], Annotated[str, Field(max_length=1000)]]


def _integral(value: Any) -> Any:
    """Accept 6.0 as an integer, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def digits(value: Any) -> Any:
    """A whole number written in digits, as query strings have it. Raises ValueError."""
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,19}", value):
        raise ValueError("expected a whole number in the digits 0-9")
    return int(value)


def _boolean(value: Any) -> Any:
    if value not in ("true", "false"):
        raise ValueError("expected true or false")
    return value == "true"


def _zero_or_one(value: Any) -> Any:
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


def _moment(value: Any) -> Any:
    shape = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?\d*([Zz]|[+-]\d\d:\d\d)"
    match = re.fullmatch(shape, value, re.ASCII)
    if not match:
        raise ValueError("expected a time with its zone such as 2026-01-31T12:00:00Z (write + as %2B)")
    return datetime.fromisoformat(value.upper())


Id = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=ID_PATTERN, description="A-Z a-z 0-9 . _ -")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
# The validator treats U+0085 as blank; readers of JSON Schema do not.
NOT_BLANK = Field(pattern=r"\S", json_schema_extra={"pattern": r"[^\s\u0085]"})
Prompt = Annotated[str, Field(min_length=1, max_length=20_000), NOT_BLANK]
Title = Annotated[
    str, Field(min_length=1, max_length=LONGEST_TITLE, description="the name that a person chose"), NOT_BLANK
]
Text = Annotated[str, Field(max_length=10_000)]
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
Progress = Annotated[int, Field(ge=0, le=100), BeforeValidator(_integral)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="higher first"), BeforeValidator(_integral)]
MaxAttempts = Annotated[int, Field(ge=1, le=100), BeforeValidator(_integral)]
JobSeed = Annotated[
    int,
    Field(ge=0, le=LARGEST_SEED, description="seed of the first take; if null, one is drawn when the job is claimed"),
    BeforeValidator(_integral),
]
Takes = Annotated[int, Field(ge=1, le=MOST_TAKES, description="how many variants to make"), BeforeValidator(_integral)]
TrackSeed = Annotated[
    int, Field(ge=0, le=LARGEST_SEED, description="seed that the generator used"), BeforeValidator(_integral)
]
Take = Annotated[
    int, Field(ge=1, le=MOST_TAKES, description="number of the variant of the job"), BeforeValidator(_integral)
]
TrackSeconds = Annotated[float, Field(gt=0, le=1_000_000, description="seconds")]
LoopSeconds = Annotated[float, Field(ge=1, le=21_600, description="requested seconds, up to six hours")]
Candidate = Annotated[
    int,
    Field(
        ge=1,
        le=CANDIDATES,
        description=f"number of the seam, 1 (best) to {CANDIDATES}; not together with start and end",
    ),
    BeforeValidator(_integral),
]
SeamStart = Annotated[
    float, Field(ge=0, le=1_000_000, description="seconds in the track where the loop starts; needs end")
]
SeamEnd = Annotated[
    float, Field(ge=0, le=1_000_000, description="seconds in the track where the loop ends; needs start")
]
Bars = Annotated[
    int,
    Field(ge=1, le=MOST_BARS, description="the length in bars, in place of duration"),
    BeforeValidator(_integral),
]
Flag = Annotated[bool, BeforeValidator(_zero_or_one), WithJsonSchema({"enum": [True, False, 0, 1]})]
Exact = Annotated[Flag, WithJsonSchema({"enum": [True, False, 0, 1], "description": "cut exactly at start and end"})]
Intro = Annotated[
    Flag,
    WithJsonSchema(
        {
            "enum": [True, False, 0, 1],
            "default": True,
            "description": "begin where the track begins; if false, begin inside the part that repeats",
        }
    ),
]
Format = Literal["MP3", "WAV"]
Integer = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
JsonValue = TypeAliasType("JsonValue", "str | Integer | float | bool | None | list[JsonValue] | dict[str, JsonValue]")
JsonObject = dict[str, JsonValue]
JobStatus = Literal[
    "pending", "loading_model", "preparing_prompt", "generating_audio", "exporting", "completed", "failed", "cancelled"
]
LoopStatus = Literal["PENDING", "ANALYZING", "RENDERING", "EXPORTING", "COMPLETED", "FAILED", "CANCELLED"]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Switch = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema({"type": "string", "enum": ["true", "false"]})]
Utc = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "description": "UTC, microseconds"})]
