"""The database of the service that this one replaces, made by SQLAlchemy itself, with odd rows among many good ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    create_engine,
    insert,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

START = datetime(2024, 5, 1, 12, 0, 0, 123456)
STATUSES = ("completed", "COMPLETED", "queued", "processing", "GENERATING", "failed", "Cancelled")


class Base(DeclarativeBase):
    """The base of all tables."""

    created_at: Mapped[datetime | None] = mapped_column(DateTime, sort_order=90)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, sort_order=91)


class OldJob(Base):
    """A request for a song."""

    __tablename__ = "jobs"
    job_id: Mapped[str] = mapped_column(String, primary_key=True)
    job_type: Mapped[str | None] = mapped_column(String)
    status: Mapped[str | None] = mapped_column(String)
    progress: Mapped[int | None] = mapped_column(Integer)
    prompt: Mapped[str | None] = mapped_column(Text)
    job_metadata: Mapped[Any] = mapped_column(JSON, nullable=True)
    file_manifest: Mapped[Any] = mapped_column(JSON, nullable=True)
    error: Mapped[str | None] = mapped_column(Text)


class OldTrack(Base):
    """A song."""

    __tablename__ = "tracks"
    track_id: Mapped[str] = mapped_column(String, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id"))
    duration: Mapped[float | None] = mapped_column(Float)
    track_metadata: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    file_path_wav: Mapped[str | None] = mapped_column(String)
    file_path_mp3: Mapped[str | None] = mapped_column(String)


class OldLoop(Base):
    """A loop that was cut from a song."""

    __tablename__ = "loops"
    loop_id: Mapped[str] = mapped_column(String, primary_key=True)
    track_id: Mapped[str] = mapped_column(ForeignKey("tracks.track_id"))
    status: Mapped[str | None] = mapped_column(String)
    duration: Mapped[float | None] = mapped_column(Float)
    fade_in_out: Mapped[bool | None] = mapped_column(Boolean)
    format: Mapped[str | None] = mapped_column(String)
    progress: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    result_url: Mapped[str | None] = mapped_column(String)
    result_path: Mapped[str | None] = mapped_column(String)


@contextmanager
def engine(path: Path) -> Iterator[Engine]:
    """The engine for a file; its tables exist."""
    made = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def fill_old(path: Path, number: int) -> None:
    """Add so many jobs, each with a track and a loop."""
    numbers = range(number)
    with engine(path) as old, old.begin() as connection:
        connection.execute(insert(OldJob), [old_job(one) for one in numbers])
        connection.execute(insert(OldTrack), [old_track(one) for one in numbers])
        connection.execute(insert(OldLoop), [old_loop(one) for one in numbers])


def run_sql(path: Path, *statements: str) -> None:
    """Change the old database by SQL, as scripts did; foreign keys are off."""
    with engine(path) as old, old.begin() as connection:
        for statement in statements:
            connection.execute(text(statement.replace(":", r"\:")))


def at(number: int) -> datetime:
    """The naive UTC time of a row; several rows have the same."""
    return START + timedelta(seconds=number // 3)


def micros(moment: datetime) -> int:
    """A naive UTC time in microseconds since 1970."""
    return round(moment.replace(tzinfo=UTC).timestamp() * 1_000_000)


def old_job(number: int) -> dict[str, Any]:
    """The values of a job."""
    return {
        "job_id": f"job-{number}",
        "job_type": "diffrhythm",
        "status": STATUSES[number % len(STATUSES)],
        "progress": number % 101,
        "prompt": None if number % 10 == 9 else f"folk guitar ёлка {number}",
        "job_metadata": None if number % 10 == 8 else {"genre": f"g{number}", "bpm": 120.5, "é": ["🎵", None]},
        "file_manifest": {"wav": f"output/job-{number}.wav"},
        "error": "out of memory" if STATUSES[number % len(STATUSES)] == "failed" else None,
        "created_at": at(number),
        "updated_at": None if number % 7 == 6 else at(number) + timedelta(microseconds=number),
    }


def old_track(number: int) -> dict[str, Any]:
    """The values of a track."""
    return {
        "track_id": f"track-{number}",
        "job_id": f"job-{number}",
        "duration": None if number % 10 == 7 else 95.25,
        "track_metadata": None if number % 10 == 6 else {"artist": "Ada"},
        "file_path_wav": f"output/track-{number}.wav",
        "file_path_mp3": None,
        "created_at": at(number),
        "updated_at": at(number),
    }


def old_loop(number: int) -> dict[str, Any]:
    """The values of a loop."""
    return {
        "loop_id": f"loop-{number}",
        "track_id": f"track-{number}",
        "status": "COMPLETED",
        "duration": 30.5,
        "fade_in_out": number % 2 == 0,
        "format": "mp3",
        "progress": 100,
        "error": None,
        "result_url": f"/files/loop-{number}.mp3",
        "result_path": None,
        "created_at": at(number),
        "updated_at": at(number),
    }
