"""The schemas of responses, for the OpenAPI document only: responses are not validated."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from web.schemas.types import Format, Id, JobStatus, JsonObject, LoopStatus, Progress, Utc, Word


class Answer(BaseModel):
    """The body of a response. Its schema is built for the document only, so a start needs no time for it."""

    model_config = ConfigDict(defer_build=True)
    media_type: ClassVar[str] = "application/json"


class ServerSentEvent(Answer):
    """The lines of one event of a stream. A stream also has comments, and `retry` or `id` without an event."""

    media_type: ClassVar[str] = "text/event-stream"

    id: str = Field(description="the event id, to resume from")
    event: str = Field(
        description="job.updated and the like: entity.change; queue.updated; or resync: read the records again"
    )
    data: str = Field(description="the event record as JSON; for resync, the event_id after which the stream goes on")
    retry: int = Field(1000, description="milliseconds after which the client connects again")


class RecordOut(Answer):
    """The fields that all records have."""

    created_at: Utc
    updated_at: Utc
    urls: dict[str, str]


class WorkOut(RecordOut):
    """The fields that jobs and loops have."""

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
    duration: float | None
    bars: int | None
    intro: bool
    fade_in_out: bool
    format: Format
    candidate: int | None
    start: float | None
    end: float | None
    exact: bool
    result_url: str | None
    result_path: str | None
    analysis: JsonObject


class Track(RecordOut):
    """A generated piece of music."""

    track_id: Id
    job_id: Id
    title: str | None
    starred: bool
    duration: float | None
    metadata: JsonObject
    seed: int | None
    take: int | None
    provenance: JsonObject
    file_path_wav: str | None
    file_path_mp3: str | None
    loops: list[Loop] = Field([], description="with expand=loops")


class Job(WorkOut):
    """A request for music, and its result."""

    job_id: Id
    job_type: Word
    status: JobStatus
    prompt: str | None
    metadata: JsonObject
    seed: int | None
    takes: int
    file_manifest: JsonObject
    tracks: list[Track] = Field([], description="with expand=tracks")


class NotedJob(Job):
    """A job as the answer to the request that recorded it."""

    notes: list[str] = Field(description="sentences: what its generator will drop or change")


class CreatedJob(Answer):
    """A job of a batch."""

    job_id: Id
    notes: list[str] = Field(description="sentences: what its generator will drop or change")


class CreatedJobs(Answer):
    """The jobs of a batch, in its order."""

    created: int = Field(description="how many of them are new: the others were there already")
    items: list[CreatedJob]


class LeasedJob(Job):
    """A job and the token of its lease."""

    lease_token: str


class LeasedLoop(Loop):
    """A loop and the token of its lease."""

    lease_token: str


class Reference(Answer):
    """The reference recording that was uploaded for a job."""

    job_id: Id
    duration: float = Field(description="seconds")
    rate: int = Field(description="samples a second")
    channels: int
    bytes: int = Field(description="the size of the WAV")


class Discard(Answer):
    """Tracks that were deleted together, with their loops, and that can still come back."""

    discard_id: Id
    job_id: Id | None = Field(description="null if the tracks are of several jobs")
    state: Literal["waiting", "undone"]
    tracks: int
    loops: int
    bytes: int = Field(description="of the files of these tracks and loops")
    created_at: Utc
    expires_at: Utc = Field(description="it can be undone until then, and a little longer")
    urls: dict[str, str]


class DiscardList(Answer):
    """The discards of a job that can still be undone, newest first."""

    items: list[Discard]


class Refused(Answer):
    """A record with which nothing was done, and why."""

    id: Id
    code: str
    detail: str


class Done(Answer):
    """What was done with several records."""

    done: list[Id]
    refused: list[Refused]
    discard: Discard | None = Field(description="with which the deletion of tracks can be undone")


class Page(Answer):
    """A part of a list."""

    next: str | None = Field(description="the address of the next part, or null")
    total: int = Field(0, description="with count=true")


class JobPage(Page):
    """A part of a list of jobs."""

    items: list[Job]


class TrackPage(Page):
    """A part of a list of tracks."""

    items: list[Track]


class LoopPage(Page):
    """A part of a list of loops."""

    items: list[Loop]


class Estimate(Answer):
    """A time from now on, estimated from the last finished jobs of the same types."""

    seconds: float
    low: float = Field(description="half of all jobs end between low and high")
    high: float


class QueuedJob(Job):
    """A job that waits or runs."""

    position: int | None = Field(description="1 is the next; null if the job runs, or is behind 10,000 others")
    done_in: Estimate | None = Field(description="null if fewer than three jobs of a type have finished")


class QueueState(Answer):
    """Whether the workers may claim jobs."""

    paused: bool = Field(description="no worker claims a job")


class Queue(QueueState):
    """The queue of jobs. If it is paused, times count from the moment when it goes on."""

    waiting: int = Field(description="the number of pending jobs")
    done_in: Estimate | None = Field(description="of the last job")
    running: list[QueuedJob] = Field(description="at most 200")
    items: list[QueuedJob] = Field(description="a part of the jobs that wait, the next one first")
    next: str | None = Field(description="the address of the next part, or null")


class Stats(Answer):
    """Counts of records, and the mean duration of a job."""

    jobs: dict[JobStatus, int]
    loops: dict[LoopStatus, int]
    tracks: int
    queue_length: int = Field(description="pending jobs and loops")
    waiting_by_type: dict[str, int] = Field(description="pending jobs by job_type")
    mean_job_seconds: float | None = Field(description="of the last hundred completed jobs")
    backup_age: float | None = Field(description="seconds since the newest good backup in BACKUP_DIR was made")


class Waveform(Answer):
    """The outline of a sound, and its loudness."""

    duration: float = Field(description="seconds")
    loudness: float | None = Field(description="integrated, in LUFS (ITU-R BS.1770-4); null for silence")
    peaks: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        description="lowest and highest sample of each stretch, -1 to 1"
    )


class Health(Answer):
    """The process is alive."""

    status: Literal["ok"]


class Check(Answer):
    """The check of one part of the service."""

    ok: bool
    detail: str


class Readiness(Answer):
    """Says whether the service can work, and if not, why."""

    status: Literal["ready", "unavailable"]
    detail: str = Field(description="each part that is not ready, and what to do")
    database: Check
    schema_: Check = Field(alias="schema")
    storage: Check
    disk: Check
    housekeeping: Check
    webhooks: Check
    backups: Check
    generators: Check


class FieldError(Answer):
    """The error of one field."""

    field: str
    message: str


class Problem(Answer):
    """An error (RFC 9457): what went wrong, and what to do."""

    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = Field([], description="for bad input")
    request_id: str = Field("", description="the X-Request-Id of the answer; the log has it, too")
