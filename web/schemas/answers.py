"""The shapes of responses; they describe them in the OpenAPI document, nothing is validated on its way out."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from web.schemas.types import Format, Id, JobStatus, JsonObject, LoopStatus, Progress, Utc, Word


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
    prompt: str | None
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
    waiting_by_type: dict[str, int] = Field(description="pending jobs by job_type")
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
    detail: str = Field(description="each part that is not ready, and what to do")
    database: Check
    schema_: Check = Field(alias="schema")
    storage: Check
    disk: Check
    housekeeping: Check
    webhooks: Check
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
