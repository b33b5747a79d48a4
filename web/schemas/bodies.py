"""The schemas of request bodies."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import MISSING, BaseModel, ConfigDict, Field, SkipValidation

from records.batches import MOST_JOBS
from web.schemas.types import (
    NOT_BLANK,
    Bars,
    Candidate,
    Exact,
    FilePath,
    Flag,
    Format,
    Id,
    Intro,
    JobSeed,
    JobStatus,
    JsonObject,
    LoopSeconds,
    LoopStatus,
    MaxAttempts,
    Priority,
    Progress,
    Prompt,
    SeamEnd,
    SeamStart,
    Take,
    Takes,
    Text,
    Title,
    TrackSeconds,
    TrackSeed,
    Word,
)


class Body(BaseModel):
    """A request body: a JSON object with only these fields. If it is optional, no body is the same as {}."""

    model_config = ConfigDict(strict=True, extra="forbid")
    is_optional: ClassVar[bool] = False

    def fields_set(self) -> dict[str, Any]:
        """The fields that the client sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class JobFields(Body):
    """The fields of a job that a client may always write."""

    job_type: Word | MISSING = MISSING
    metadata: JsonObject | MISSING = MISSING
    seed: JobSeed | None | MISSING = MISSING
    takes: Takes | MISSING = MISSING
    file_manifest: JsonObject | MISSING = MISSING
    status: JobStatus | MISSING = MISSING
    progress: Progress | MISSING = MISSING
    message: Text | None | MISSING = MISSING
    error: Text | None | MISSING = MISSING
    priority: Priority | MISSING = MISSING
    max_attempts: MaxAttempts | MISSING = MISSING


class NewJob(JobFields):
    """A job to record. Only the prompt is required."""

    job_id: Id | MISSING = MISSING
    prompt: Prompt


class JobBatch(Body):
    """Jobs to record together. Each of them is validated alone, so that a refusal names all that are wrong."""

    jobs: Annotated[list[SkipValidation[NewJob]], Field(min_length=1, max_length=MOST_JOBS)]


class JobPatch(JobFields):
    """Changes of a job. A JSON object is replaced as a whole."""

    prompt: Prompt | MISSING = MISSING


class TrackFields(Body):
    """The fields of a track that a client may always write."""

    title: Title | None | MISSING = MISSING
    starred: Flag | MISSING = MISSING
    duration: TrackSeconds | None | MISSING = MISSING
    metadata: JsonObject | MISSING = MISSING
    seed: TrackSeed | None | MISSING = MISSING
    take: Take | None | MISSING = MISSING
    provenance: JsonObject | MISSING = MISSING
    file_path_wav: FilePath | None | MISSING = MISSING
    file_path_mp3: FilePath | None | MISSING = MISSING


class TrackOfJob(TrackFields):
    """A track to record for the job in the path."""

    track_id: Id | MISSING = MISSING


class NewTrack(TrackOfJob):
    """A track to record."""

    job_id: Id


class TrackPatch(TrackFields):
    """Changes of a track. A JSON object is replaced as a whole."""

    job_id: Id | MISSING = MISSING


class TrackAgain(Body):
    """What differs in a job that makes a track again. By default, nothing does: the music is the same."""

    is_optional: ClassVar[bool] = True

    job_id: Id | MISSING = MISSING
    prompt: Prompt | MISSING = MISSING
    seed: JobSeed | None | MISSING = MISSING
    takes: Takes | MISSING = MISSING
    parameters: JsonObject | MISSING = Field(
        MISSING, description="instead of those that the track was made with; null is the default of the generator"
    )


Ids = Annotated[list[Id], Field(min_length=1, max_length=200)]


class JobActions(Body):
    """What to do with several jobs."""

    action: Literal["cancel", "retry", "delete"]
    ids: Ids
    files: Flag = Field(False, description="delete: also delete their files")


class TrackActions(Body):
    """What to do with several tracks."""

    action: Literal["star", "unstar", "delete"]
    ids: Ids


class LoopFields(Body):
    """The fields of a loop that a client may always write."""

    duration: LoopSeconds | None | MISSING = MISSING
    bars: Bars | None | MISSING = MISSING
    intro: Intro | MISSING = MISSING
    fade_in_out: Flag | MISSING = MISSING
    format: Format | MISSING = MISSING
    candidate: Candidate | None | MISSING = MISSING
    start: SeamStart | None | MISSING = MISSING
    end: SeamEnd | None | MISSING = MISSING
    exact: Exact | MISSING = MISSING
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


class NewLoop(LoopOfTrack):
    """A loop to cut."""

    track_id: Id


class LoopPatch(LoopFields):
    """Changes of a loop."""

    track_id: Id | MISSING = MISSING


class Claim(Body):
    """A claim: the name of the worker, the length of the lease, and how long to wait for work."""

    worker: Annotated[str, Field(min_length=1, max_length=200, description="a name for people"), NOT_BLANK]
    lease_seconds: Annotated[float, Field(ge=0.1, le=3600)] | MISSING = MISSING
    wait: Annotated[float, Field(ge=0, le=30, description="seconds to wait when nothing is pending")] = 0


class JobClaim(Claim):
    """A claim of a job."""

    job_types: Annotated[list[Word], Field(min_length=1, max_length=50)] | MISSING = MISSING


class NextJob(Body):
    """Where a pending job is to wait."""

    is_optional: ClassVar[bool] = True

    before: Id | MISSING = Field(MISSING, description="the pending job that it goes before; without it, it is the next")


class QueueChange(Body):
    """What the workers may do with the queue of jobs."""

    paused: Flag = Field(description="true: running jobs are finished, and no job is claimed until it is false again")


class LoopClaim(Claim):
    """A claim of a loop."""
