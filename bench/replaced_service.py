"""The service that this one replaces, written from its documentation: FastAPI, SQLAlchemy 2, pydantic and uvicorn.

Sessions, repositories and endpoints are as the documentation of FastAPI and SQLAlchemy shows them. Its SQLite file has
the same journal (WAL) and the same durability (synchronous FULL) as ours. Run: replaced_service.py PORT FILE
"""

import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Generic, Literal, TypeVar

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, Engine, ForeignKey, String, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

Running = Literal["loading_model", "preparing_prompt", "generating_audio", "exporting"]
JobStatus = Literal["pending", Running, "completed", "failed", "cancelled"]
LoopStatus = Literal["PENDING", "ANALYZING", "RENDERING", "EXPORTING", "COMPLETED", "FAILED", "CANCELLED"]
NOW = partial(datetime.now, UTC)


def new_id() -> str:
    """A new id."""
    return str(uuid.uuid4())


class Base(DeclarativeBase):
    """The base of all tables."""

    created_at: Mapped[datetime] = mapped_column(default=NOW, index=True, sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(default=NOW, onupdate=NOW, sort_order=91)


class Job(Base):
    """A request for a song."""

    __tablename__ = "jobs"
    job_id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    job_type: Mapped[str] = mapped_column(String(64), default="diffrhythm", index=True)
    status: Mapped[str] = mapped_column(String(32), default="pending", index=True)
    prompt: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JSON, default=dict)
    file_manifest: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    progress: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    tracks: Mapped[list["Track"]] = relationship(back_populates="job", cascade="all, delete", passive_deletes=True)


class Track(Base):
    """A song."""

    __tablename__ = "tracks"
    track_id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id", ondelete="CASCADE"), index=True)
    duration: Mapped[float | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JSON, default=dict)
    file_path_wav: Mapped[str | None]
    file_path_mp3: Mapped[str | None]
    job: Mapped[Job] = relationship(back_populates="tracks")
    loops: Mapped[list["Loop"]] = relationship(back_populates="track", cascade="all, delete", passive_deletes=True)


class Loop(Base):
    """A loop that was cut from a song."""

    __tablename__ = "loops"
    loop_id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    track_id: Mapped[str] = mapped_column(ForeignKey("tracks.track_id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(32), default="PENDING", index=True)
    duration: Mapped[float]
    fade_in_out: Mapped[bool] = mapped_column(default=False)
    format: Mapped[str] = mapped_column(String(8), default="MP3")
    progress: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    result_url: Mapped[str | None]
    result_path: Mapped[str | None]
    track: Mapped[Track] = relationship(back_populates="loops")


class NewJob(BaseModel):
    """The body of POST /api/jobs."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)
    job_id: str = Field(default_factory=new_id, max_length=64)
    job_type: str = Field("diffrhythm", max_length=64)
    status: JobStatus = "pending"
    prompt: str
    meta: dict[str, Any] = Field(default_factory=dict, alias="metadata")
    file_manifest: dict[str, Any] = {}


class JobPatch(BaseModel):
    """The body of PATCH /api/jobs/{job_id}."""

    model_config = ConfigDict(extra="forbid")
    status: JobStatus | None = None
    progress: int | None = Field(None, ge=0, le=100)
    prompt: str | None = None
    meta: dict[str, Any] | None = Field(None, alias="metadata")
    file_manifest: dict[str, Any] | None = None
    error: str | None = None


class NewTrack(BaseModel):
    """The body of POST /api/jobs/{job_id}/tracks."""

    model_config = ConfigDict(extra="forbid")
    track_id: str = Field(default_factory=new_id, max_length=64)
    duration: float | None = Field(None, gt=0)
    meta: dict[str, Any] = Field(default_factory=dict, alias="metadata")
    file_path_wav: str | None = None
    file_path_mp3: str | None = None


class NewLoop(BaseModel):
    """The body of POST /api/tracks/{track_id}/loops."""

    model_config = ConfigDict(extra="forbid")
    loop_id: str = Field(default_factory=new_id, max_length=64)
    status: LoopStatus = "PENDING"
    duration: float = Field(gt=0)
    fade_in_out: bool = False
    format: Literal["MP3", "WAV"] = "MP3"


class Out(BaseModel):
    """The fields of all responses."""

    model_config = ConfigDict(from_attributes=True, validate_by_name=True, serialize_by_alias=True)
    created_at: datetime
    updated_at: datetime


class JobOut(Out):
    """A job in a response."""

    job_id: str
    job_type: str
    status: JobStatus
    prompt: str | None
    meta: dict[str, Any] = Field(serialization_alias="metadata")
    file_manifest: dict[str, Any]
    progress: int
    error: str | None


class TrackOut(Out):
    """A track in a response."""

    track_id: str
    job_id: str
    duration: float | None
    meta: dict[str, Any] = Field(serialization_alias="metadata")
    file_path_wav: str | None
    file_path_mp3: str | None


class LoopOut(Out):
    """A loop in a response."""

    loop_id: str
    track_id: str
    status: LoopStatus
    duration: float
    fade_in_out: bool
    format: str
    progress: int
    error: str | None
    result_url: str | None
    result_path: str | None


M = TypeVar("M", bound=Base)


class Repository(Generic[M]):
    """The verbs of all records."""

    model: type[M]

    def __init__(self, session: Session) -> None:
        self.session = session

    def create(self, **fields: Any) -> M:
        """The new record."""
        record = self.model(**fields)
        self.session.add(record)
        self.session.commit()
        return record

    def get_by_id(self, record_id: str) -> M | None:
        """The record, or None."""
        return self.session.get(self.model, record_id)

    def get_all(self, limit: int = 50, offset: int = 0) -> Sequence[M]:
        """Records, newest first."""
        query = select(self.model).order_by(self.model.created_at.desc()).limit(limit).offset(offset)
        return self.session.scalars(query).all()

    def update(self, record_id: str, **changes: Any) -> M | None:
        """The record after the change, or None."""
        record = self.get_by_id(record_id)
        if record is not None:
            for name, value in changes.items():
                setattr(record, name, value)
            self.session.commit()
        return record

    def delete(self, record_id: str) -> bool:
        """True if there was such a record."""
        record = self.get_by_id(record_id)
        if record is not None:
            self.session.delete(record)
            self.session.commit()
        return record is not None


class JobRepository(Repository[Job]):
    """Jobs."""

    model = Job


class TrackRepository(Repository[Track]):
    """Tracks."""

    model = Track

    def get_by_job_id(self, job_id: str) -> Sequence[Track]:
        """The tracks of a job."""
        return self.session.scalars(select(Track).where(Track.job_id == job_id)).all()


class LoopRepository(Repository[Loop]):
    """Loops."""

    model = Loop

    def get_by_track_id(self, track_id: str) -> Sequence[Loop]:
        """The loops of a track."""
        return self.session.scalars(select(Loop).where(Loop.track_id == track_id)).all()


new_session: sessionmaker[Session] = sessionmaker(expire_on_commit=False)
app = FastAPI()


def get_session() -> Iterator[Session]:
    """The session of a request."""
    with new_session() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def require(record: M | None) -> M:
    """The record; 404 if there is none."""
    if record is None:
        raise HTTPException(404, "not found")
    return record


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """The server answers."""
    return {"status": "ok"}


@app.post("/api/jobs", status_code=201, response_model=JobOut)
def create_job(body: NewJob, session: SessionDep) -> Job:
    """Create a job."""
    return JobRepository(session).create(**body.model_dump(by_alias=False))


@app.get("/api/jobs", response_model=list[JobOut])
def list_jobs(
    session: SessionDep, limit: Annotated[int, Query(ge=1, le=200)] = 50, offset: Annotated[int, Query(ge=0)] = 0
) -> Sequence[Job]:
    """Jobs, newest first."""
    return JobRepository(session).get_all(limit, offset)


@app.get("/api/jobs/{job_id}", response_model=JobOut)
def get_job(job_id: str, session: SessionDep) -> Job:
    """One job."""
    return require(JobRepository(session).get_by_id(job_id))


@app.patch("/api/jobs/{job_id}", response_model=JobOut)
def update_job(job_id: str, body: JobPatch, session: SessionDep) -> Job:
    """Change a job."""
    return require(JobRepository(session).update(job_id, **body.model_dump(exclude_unset=True, by_alias=False)))


@app.delete("/api/jobs/{job_id}", status_code=204)
def delete_job(job_id: str, session: SessionDep) -> Response:
    """Delete a job, its tracks and their loops."""
    if not JobRepository(session).delete(job_id):
        raise HTTPException(404, "not found")
    return Response(status_code=204)


@app.get("/api/jobs/{job_id}/tracks", response_model=list[TrackOut])
def list_tracks(job_id: str, session: SessionDep) -> Sequence[Track]:
    """The tracks of a job."""
    return TrackRepository(session).get_by_job_id(job_id)


@app.post("/api/jobs/{job_id}/tracks", status_code=201, response_model=TrackOut)
def create_track(job_id: str, body: NewTrack, session: SessionDep) -> Track:
    """Create a track."""
    return TrackRepository(session).create(job_id=job_id, **body.model_dump(by_alias=False))


@app.get("/api/tracks/{track_id}/loops", response_model=list[LoopOut])
def list_loops(track_id: str, session: SessionDep) -> Sequence[Loop]:
    """The loops of a track."""
    return LoopRepository(session).get_by_track_id(track_id)


@app.post("/api/tracks/{track_id}/loops", status_code=201, response_model=LoopOut)
def create_loop(track_id: str, body: NewLoop, session: SessionDep) -> Loop:
    """Create a loop."""
    return LoopRepository(session).create(track_id=track_id, **body.model_dump(by_alias=False))


def connect(path: str) -> Engine:
    """The engine for an SQLite file with WAL, synchronous FULL and foreign keys."""
    # One connection for each request. With the default of 15, 64 requests at once wait for a connection and end in 500.
    engine = create_engine(f"sqlite:///{path}", pool_size=128, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    Base.metadata.create_all(engine)
    return engine


if __name__ == "__main__":
    new_session.configure(bind=connect(sys.argv[2]))
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False)
