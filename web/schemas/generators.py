"""The schemas of generators in responses."""

from typing import Literal

from pydantic import Field

from generators.parameters import Value
from web.schemas.answers import Answer
from web.schemas.types import Word


class GeneratorSeconds(Answer):
    """The lengths that a generator makes, in seconds."""

    min: float
    max: float
    usual: float = Field(description="the length of a job without metadata.duration")
    kind: Literal["exact", "ceiling", "segments", "none"] = Field(
        description="ceiling: the music may end earlier; segments: as many as needed; none: the generator chooses"
    )


class GeneratorParameter(Answer):
    """What a job may set in metadata.parameters."""

    type: Literal["int", "float", "bool", "text", "choice"]
    min: float | None
    max: float | None
    max_length: int | None = Field(description="characters of a text")
    choices: list[str]
    default: Value | None
    help: str


class Generator(Answer):
    """What makes the jobs of one job_type."""

    job_type: Word
    can_start: bool = Field(description="on a worker that runs; if none has it, on the machine of the web process")
    problems: list[str] = Field(description="why it cannot start, and what to do")
    notes: list[str] = Field(description="what is missing and not needed")
    seconds: GeneratorSeconds
    lyrics: Literal["lrc", "tags", "sections", "tagged", "semicolons", "commas", "plain", "none"] = Field(
        description="the form in which the generator reads lyrics; a job may have them in any form"
    )
    reference: Literal["required", "optional", "none"] = Field(description="metadata.reference_track")
    batch: bool = Field(description="one run makes all takes")
    is_seeded: bool = Field(description="false: the same seed does not make the same music")
    parameters: dict[str, GeneratorParameter]
    licence: str | None
    gpu: str | None = Field(description="jobs with the same word never run at once on one machine")
    workers: list[str] = Field(description="the workers that run and can start it")


class Generators(Answer):
    """All generators."""

    items: list[Generator]
