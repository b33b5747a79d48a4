"""The shapes of every request and answer; what validates and what the document says are the same."""

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import MISSING, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeAliasType

from models import ID_LENGTH, ID_PATTERN

METADATA_PATH = r'^[^"\\.\x00-\x1f]{1,64}(\.[^"\\.\x00-\x1f]{1,64}){0,7}$'
MetadataFilter = dict[Annotated[str, Field(pattern=METADATA_PATH)], Annotated[str, Field(max_length=1000)]]


def _integral(value: Any) -> Any:
    """JSON Schema calls 6.0 an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digits(value: Any) -> Any:
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
    found = re.fullmatch(shape, value, re.ASCII)
    if not found:
        raise ValueError("expected a time with its zone such as 2026-01-31T12:00:00Z (write + as %2B)")
    return datetime.fromisoformat(value.upper())


Id = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=ID_PATTERN, description="A-Z a-z 0-9 . _ -")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
# U+0085 is blank to the validator, and is not to JSON Schema's readers.
NOT_BLANK = Field(pattern=r"\S", json_schema_extra={"pattern": r"[^\s\u0085]"})
Prompt = Annotated[str, Field(min_length=1, max_length=20_000), NOT_BLANK]
Text = Annotated[str, Field(max_length=10_000)]
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
Progress = Annotated[int, Field(ge=0, le=100), BeforeValidator(_integral)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="higher first"), BeforeValidator(_integral)]
MaxAttempts = Annotated[int, Field(ge=1, le=100), BeforeValidator(_integral)]
TrackSeconds = Annotated[float, Field(gt=0, le=1_000_000, description="seconds")]
LoopSeconds = Annotated[float, Field(ge=1, le=21_600, description="requested seconds, up to six hours")]
Flag = Annotated[bool, BeforeValidator(_zero_or_one), WithJsonSchema({"enum": [True, False, 0, 1]})]
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


class Body(BaseModel):
    """A request body: JSON of exactly these fields."""

    model_config = ConfigDict(strict=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields the client sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class JobFields(Body):
    """What may be said of a job at any time."""

    job_type: Word | MISSING = MISSING
    metadata: JsonObject | MISSING = MISSING
    file_manifest: JsonObject | MISSING = MISSING
    status: JobStatus | MISSING = MISSING
    progress: Progress | MISSING = MISSING
    message: Text | None | MISSING = MISSING
    error: Text | None | MISSING = MISSING
    priority: Priority | MISSING = MISSING
    max_attempts: MaxAttempts | MISSING = MISSING


class NewJob(JobFields):
    """A job to record; only the prompt is needed."""

    job_id: Id | MISSING = MISSING
    prompt: Prompt


class JobPatch(JobFields):
    """What to change of a job; a JSON object is replaced whole."""

    prompt: Prompt | MISSING = MISSING


class TrackFields(Body):
    """What may be said of a track at any time."""

    duration: TrackSeconds | None | MISSING = MISSING
    metadata: JsonObject | MISSING = MISSING
    file_path_wav: FilePath | None | MISSING = MISSING
    file_path_mp3: FilePath | None | MISSING = MISSING


class TrackOfJob(TrackFields):
    """A track to record for the job in the path."""

    track_id: Id | MISSING = MISSING


class NewTrack(TrackOfJob):
    """A track to record."""

    job_id: Id


class TrackPatch(TrackFields):
    """What to change of a track; a JSON object is replaced whole."""

    job_id: Id | MISSING = MISSING


class LoopFields(Body):
    """What may be said of a loop at any time."""

    fade_in_out: Flag | MISSING = MISSING
    format: Format | MISSING = MISSING
    status: LoopStatus | MISSING = MISSING
    progress: Progress | MISSING = MISSING
    message: Text | None | MISSING = MISSING
    error: Text | None | MISSING = MISSING
    result_url: FilePath | None | MISSING = MISSING
    result_path: FilePath | None | MISSING = MISSING
    priority: Priority | MISSING = MISSING
    max_attempts: MaxAttempts | MISSING = MISSING


class LoopOfTrack(LoopFields):
    """A loop to cut from the track in the path."""

    loop_id: Id | MISSING = MISSING
    duration: LoopSeconds


class NewLoop(LoopOfTrack):
    """A loop to cut."""

    track_id: Id


class LoopPatch(LoopFields):
    """What to change of a loop."""

    track_id: Id | MISSING = MISSING
    duration: LoopSeconds | MISSING = MISSING


class Claim(Body):
    """Who wants work, for how long, and how long to wait for some."""

    worker: Annotated[str, Field(min_length=1, max_length=200, description="a name for people"), NOT_BLANK]
    lease_seconds: Annotated[float, Field(ge=0.1, le=3600)] | MISSING = MISSING
    wait: Annotated[float, Field(ge=0, le=30, description="seconds to wait when nothing is pending")] = 0


class JobClaim(Claim):
    """A claim of a job."""

    job_types: Annotated[list[Word], Field(min_length=1, max_length=50)] | MISSING = MISSING


class LoopClaim(Claim):
    """A claim of a loop."""


class Query(BaseModel):
    """A query string: exactly these parameters, each given once unless it is a list."""

    model_config = ConfigDict(extra="forbid")


class List(Query):
    """The part of a list that is wanted."""

    limit: Annotated[int, Field(ge=1, le=200), BeforeValidator(_digits)] = 50
    offset: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(_digits)] = 0
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

    tail: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_digits)] | SkipJsonSchema[None] = Field(
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

    points: Annotated[int, Field(ge=1, le=2000), BeforeValidator(_digits)] = 800


class EventQuery(Query):
    """Where a stream of events begins."""

    since: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(_digits)] | SkipJsonSchema[None] = Field(
        None, description="what follows this event id; Last-Event-ID wins over it"
    )


class NoQuery(Query):
    """No parameters."""


class Answer(BaseModel):
    """An answer's body; for the document alone, nothing is validated on its way out."""

    media_type: ClassVar[str] = "application/json"


class ServerSentEvent(Answer):
    """One event of a stream, as its lines say; besides, there are comments and lines of `retry` or `id` alone."""

    media_type: ClassVar[str] = "text/event-stream"

    id: str = Field(description="the event id, to resume from")
    event: str = Field(description="job.updated and the like: entity.change; or resync: read the records again")
    data: str = Field(description="the event record as JSON; with resync, the event_id to go on from")
    retry: int = Field(1000, description="milliseconds after which to come back")


class RecordOut(Answer):
    """What all records carry."""

    created_at: Utc
    updated_at: Utc
    urls: dict[str, str]


class WorkOut(RecordOut):
    """What jobs and loops carry."""

    progress: Progress
    message: str | None
    error: str | None
    priority: int
    attempts: int
    max_attempts: int
    worker: str | None
    lease_expires_at: Utc | None
    cancel_requested: bool
    started_at: Utc | None
    finished_at: Utc | None


class Loop(WorkOut):
    """A looped variant of a track."""

    loop_id: Id
    track_id: Id
    status: LoopStatus
    duration: float
    fade_in_out: bool
    format: Format
    result_url: str | None
    result_path: str | None
    analysis: JsonObject


class Track(RecordOut):
    """A generated piece of music."""

    track_id: Id
    job_id: Id
    duration: float | None
    metadata: JsonObject
    file_path_wav: str | None
    file_path_mp3: str | None
    loops: list[Loop] = Field([], description="with expand=loops")


class Job(WorkOut):
    """A request for music, and what became of it."""

    job_id: Id
    job_type: Word
    status: JobStatus
    prompt: str
    metadata: JsonObject
    file_manifest: JsonObject
    tracks: list[Track] = Field([], description="with expand=tracks")


class LeasedJob(Job):
    """A job and the token of its lease."""

    lease_token: str


class LeasedLoop(Loop):
    """A loop and the token of its lease."""

    lease_token: str


class Page(Answer):
    """A part of a list."""

    next: str | None = Field(description="where the list goes on, or null")
    total: int = Field(0, description="with count=true")


class JobPage(Page):
    """Jobs."""

    items: list[Job]


class TrackPage(Page):
    """Tracks."""

    items: list[Track]


class LoopPage(Page):
    """Loops."""

    items: list[Loop]


class Stats(Answer):
    """How much there is, and how long it takes."""

    jobs: dict[JobStatus, int]
    loops: dict[LoopStatus, int]
    tracks: int
    queue_length: int = Field(description="jobs and loops that wait")
    mean_job_seconds: float | None = Field(description="of the last hundred completed jobs")


class Waveform(Answer):
    """The outline of a sound."""

    duration: float = Field(description="seconds")
    peaks: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        description="lowest and highest sample of each stretch, -1 to 1"
    )


class Health(Answer):
    """The process is alive."""

    status: Literal["ok"]


class Check(Answer):
    """One thing that must work."""

    ok: bool
    detail: str


class Readiness(Answer):
    """Whether requests can be served, and if not, why."""

    status: Literal["ready", "unavailable"]
    database: Check
    schema_: Check = Field(alias="schema")
    storage: Check
    generators: Check


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Answer):
    """RFC 9457: what went wrong, and what to do."""

    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = Field([], description="for bad input")
