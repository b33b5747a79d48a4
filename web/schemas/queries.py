"""The schemas of query strings."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from models import LARGEST_SEED, MOST_TAKES
from web.schemas.types import Format, Id, JobStatus, LoopStatus, MetadataFilter, Moment, Switch, Word, digits

# A cursor has an id and 200 characters of a name of at most 4 bytes each, in base64; all of it is again in base64.
LONGEST_CURSOR = 2048


class Query(BaseModel):
    """A query string with only these parameters. Only a list parameter may come more than once."""

    model_config = ConfigDict(extra="forbid")


class List(Query):
    """Parameters of all lists: which part, and created when."""

    limit: Annotated[int, Field(ge=1, le=200), BeforeValidator(digits)] = 50
    offset: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(digits)] = 0
    cursor: (
        Annotated[str, Field(max_length=LONGEST_CURSOR, description="from `next`; opaque")] | SkipJsonSchema[None]
    ) = None
    count: Switch = Field(False, json_schema_extra={"default": "false"})
    created_after: Moment | SkipJsonSchema[None] = Field(None, description="created at or after this time")
    created_before: Moment | SkipJsonSchema[None] = Field(None, description="created before this time")


class QueueQuery(Query):
    """Parameters of the queue: which part of the jobs that wait."""

    limit: Annotated[int, Field(ge=1, le=200), BeforeValidator(digits)] = 50
    cursor: (
        Annotated[str, Field(max_length=LONGEST_CURSOR, description="from `next`; opaque")] | SkipJsonSchema[None]
    ) = None


class JobList(List):
    """Parameters of a list of jobs."""

    status: list[JobStatus] = Field([], max_length=8, description="may be given several times")
    job_type: Word | SkipJsonSchema[None] = None
    q: Annotated[str, Field(max_length=1000)] | SkipJsonSchema[None] = Field(None, description="words in the prompt")
    metadata: MetadataFilter = Field({}, max_length=20, description="metadata.genre=ambient; any dotted path")
    sort: Literal["-created_at", "created_at", "-updated_at", "updated_at", "-priority", "priority"] = "-created_at"
    expand: Literal["tracks", "tracks.loops"] | SkipJsonSchema[None] = None


class BatchQuery(Query):
    """Fields for those jobs of a batch that do not have them."""

    job_type: Word | SkipJsonSchema[None] = None
    takes: Annotated[int, Field(ge=1, le=MOST_TAKES), BeforeValidator(digits)] | SkipJsonSchema[None] = None
    metadata: MetadataFilter = Field({}, max_length=20, description="metadata.genre=Ambient; any dotted path")


class JobGet(Query):
    """Parameters of one job."""

    expand: Literal["tracks", "tracks.loops"] | SkipJsonSchema[None] = None


class TracksOfJob(List):
    """Parameters of a list of the tracks of a job."""

    metadata: MetadataFilter = Field({}, max_length=20, description="metadata.artist=Ada; any dotted path")
    sort: Literal["-created_at", "created_at", "-updated_at", "updated_at"] = "-created_at"
    expand: Literal["loops"] | SkipJsonSchema[None] = None


class TrackList(TracksOfJob):
    """Parameters of a list of tracks."""

    q: Annotated[str, Field(max_length=1000)] | SkipJsonSchema[None] = Field(
        None, description="words in the names of the track, or in the prompt or the lyrics of its job"
    )
    genre: Annotated[str, Field(max_length=100)] | SkipJsonSchema[None] = Field(
        None, description="of the track, or else of its job; case and accents do not matter"
    )
    job_type: Word | SkipJsonSchema[None] = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED), BeforeValidator(digits)] | SkipJsonSchema[None] = None
    starred: Switch | SkipJsonSchema[None] = None
    job_id: Id | SkipJsonSchema[None] = None
    sort: Literal[
        "-created_at", "created_at", "-updated_at", "updated_at", "-duration", "duration", "title", "-title"
    ] = "-created_at"  # type: ignore[assignment]


class TrackGet(Query):
    """Parameters of one track."""

    expand: Literal["loops"] | SkipJsonSchema[None] = None


class LoopsOf(List):
    """Parameters of a list of the loops of a job or track."""

    status: list[LoopStatus] = Field([], max_length=8, description="may be given several times")
    format: Format | SkipJsonSchema[None] = None
    sort: Literal["-created_at", "created_at", "-updated_at", "updated_at", "-priority", "priority"] = "-created_at"


class LoopList(LoopsOf):
    """Parameters of a list of loops."""

    track_id: Id | SkipJsonSchema[None] = None


class LogQuery(Query):
    """Parameters of a log."""

    tail: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(digits)] | SkipJsonSchema[None] = Field(
        None, description="the number of last lines to return"
    )
    fold: Switch = Field(
        False,
        description="one line, the newest, for lines that differ only in numbers and bars; `! ` before errors",
        json_schema_extra={"default": "false"},
    )
    q: str = Field("", max_length=1000, description="return only the lines with all of these words")


class Deletion(Query):
    """Parameters of a deletion."""

    files: Switch = Field(False, description="also delete its files", json_schema_extra={"default": "false"})


class AudioQuery(Query):
    """Parameters of the sound of a track."""

    format: Literal["wav", "mp3"] | SkipJsonSchema[None] = Field(None, description="WAV when there is one, else MP3")


class DownloadQuery(Query):
    """Parameters of a file to take away."""

    format: Literal["mp3", "flac", "wav"] = "mp3"


class ArchiveQuery(Query):
    """Which tracks an archive has: all that meet every condition."""

    track_id: list[Id] = Field([], max_length=200, description="may be given several times; also their order")
    job_id: Id | SkipJsonSchema[None] = None
    starred: Switch | SkipJsonSchema[None] = None
    format: Literal["wav", "mp3"] | SkipJsonSchema[None] = Field(
        None,
        description="which of two files; by default WAV. If a track has only the other format, that file is included",
    )


class UploadQuery(Query):
    """Parameters of an upload."""

    format: Literal["wav", "mp3"] | SkipJsonSchema[None] = Field(None, description="refuse a body of another kind")


class WaveformQuery(Query):
    """Parameters of a waveform."""

    points: Annotated[int, Field(ge=1, le=2000), BeforeValidator(digits)] = 800


class EventQuery(Query):
    """Parameters of a stream of events."""

    since: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(digits)] | SkipJsonSchema[None] = Field(
        None, description="events after this id; Last-Event-ID wins over it"
    )
    forecast: Switch = Field(
        False,
        description="also send when the jobs of the queue are done: docs/events.md",
        json_schema_extra={"default": "false"},
    )


class NoQuery(Query):
    """No parameters."""
