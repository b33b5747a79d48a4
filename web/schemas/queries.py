"""The shapes of query strings."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from web.schemas.types import Format, Id, JobStatus, LoopStatus, MetadataFilter, Moment, Switch, Word, digits


class Query(BaseModel):
    """A query string: exactly these parameters, each given once unless it is a list."""

    model_config = ConfigDict(extra="forbid")


class List(Query):
    """The part of a list that is wanted."""

    limit: Annotated[int, Field(ge=1, le=200), BeforeValidator(digits)] = 50
    offset: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(digits)] = 0
    cursor: Annotated[str, Field(max_length=512, description="from `next`; opaque")] | SkipJsonSchema[None] = None
    count: Switch = Field(False, json_schema_extra={"default": "false"})
    created_after: Moment | SkipJsonSchema[None] = Field(None, description="made at or after")
    created_before: Moment | SkipJsonSchema[None] = Field(None, description="made before")


class JobList(List):
    """Which jobs, in which order."""

    status: list[JobStatus] = Field([], max_length=8, description="may be given several times")
    job_type: Word | SkipJsonSchema[None] = None
    q: Annotated[str, Field(max_length=1000)] | SkipJsonSchema[None] = Field(None, description="words in the prompt")
    metadata: MetadataFilter = Field({}, max_length=20, description="metadata.genre=ambient; any dotted path")
    sort: Literal["-created_at", "created_at", "-updated_at", "updated_at", "-priority", "priority"] = "-created_at"
    expand: Literal["tracks", "tracks.loops"] | SkipJsonSchema[None] = None


class JobGet(Query):
    """What to show of a job."""

    expand: Literal["tracks", "tracks.loops"] | SkipJsonSchema[None] = None


class TracksOfJob(List):
    """Which tracks of a job, in which order."""

    metadata: MetadataFilter = Field({}, max_length=20, description="metadata.artist=Ada; any dotted path")
    sort: Literal["-created_at", "created_at", "-updated_at", "updated_at"] = "-created_at"
    expand: Literal["loops"] | SkipJsonSchema[None] = None


class TrackList(TracksOfJob):
    """Which tracks, in which order."""

    job_id: Id | SkipJsonSchema[None] = None


class TrackGet(Query):
    """What to show of a track."""

    expand: Literal["loops"] | SkipJsonSchema[None] = None


class LoopsOf(List):
    """Which loops of a job or track, in which order."""

    status: list[LoopStatus] = Field([], max_length=8, description="may be given several times")
    format: Format | SkipJsonSchema[None] = None
    sort: Literal["-created_at", "created_at", "-updated_at", "updated_at", "-priority", "priority"] = "-created_at"


class LoopList(LoopsOf):
    """Which loops, in which order."""

    track_id: Id | SkipJsonSchema[None] = None


class LogQuery(Query):
    """How much of a log."""

    tail: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(digits)] | SkipJsonSchema[None] = Field(
        None, description="only so many last lines"
    )


class Deletion(Query):
    """What to delete besides the record."""

    files: Switch = Field(False, description="its files, too", json_schema_extra={"default": "false"})


class AudioQuery(Query):
    """Which encoding of a track."""

    format: Literal["wav", "mp3"] | SkipJsonSchema[None] = Field(None, description="WAV when there is one, else MP3")


class UploadQuery(Query):
    """Which file of a track the body is."""

    format: Literal["wav", "mp3"] | SkipJsonSchema[None] = Field(None, description="refuse a body of another kind")


class WaveformQuery(Query):
    """How finely to draw."""

    points: Annotated[int, Field(ge=1, le=2000), BeforeValidator(digits)] = 800


class EventQuery(Query):
    """Where a stream of events begins."""

    since: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(digits)] | SkipJsonSchema[None] = Field(
        None, description="what follows this event id; Last-Event-ID wins over it"
    )


class NoQuery(Query):
    """No parameters."""
