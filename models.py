"""Job, Track, Loop, Event, Delivery, Discard and Worker: the records, and the statuses they may take.

What a value may be, what a deletion takes along, `updated_at` and the events are the database's own business:
database/migrations/ has the constraints and triggers, so that every writer is held to them.
"""

import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    FloatField,
    ForeignKeyField,
    IntegerField,
    JSONField,
    Model,
    TextField,
)

from database import bind_default, database, from_json, init_database, to_column
from database.damage import Damaged

__all__ = ["Event", "Job", "Loop", "Track", "init_database"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ID_LENGTH = 64
MOST_BARS = 512  # of a loop
CANDIDATES = 5  # seams in the analysis of a loop, at most
LARGEST_SEED = 2**32 - 1
MOST_TAKES = 32  # of a job
LONGEST_TITLE = 200  # characters of the title of a track
ID_PATTERN = r"^(?:\.{0,2}[A-Za-z0-9_-]|\.{3})[A-Za-z0-9._-]*$"  # neither . nor .., which URLs swallow


def new_id() -> str:
    """A new UUID of version 7 as text (RFC 9562): milliseconds since 1970 and 74 random bits.

    New records are at the end of every index of ids, so several share its last page. With the random ids of version 4,
    each record changes pages of its own, and creating one needs a third more CPU time.
    """
    number = (time.time_ns() // 1_000_000) % 2**48 << 80 | int.from_bytes(os.urandom(10))
    return str(uuid.UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def utc_now() -> datetime:
    """Now, timezone-aware, in microseconds."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """A UTC datetime as JSON has it: ISO 8601 with microseconds and Z."""
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def microseconds(moment: datetime) -> int:
    """A moment as the database stores it: whole microseconds since 1970. A time without a zone is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


class UtcField(BigIntegerField):
    """A moment: a timezone-aware UTC datetime in Python, whole microseconds since 1970 in the database."""

    def db_value(self, value: Any) -> Any:
        """Microseconds for a datetime (naive ones are taken as UTC); anything else as it is."""
        if isinstance(value, datetime):
            return microseconds(value)
        return value

    def python_value(self, value: Any) -> Any:
        """An aware datetime, or None. Raises Damaged for a value that is not a time before the year 10,000."""
        try:
            return None if value is None else EPOCH + value * MICROSECOND
        except (OverflowError, TypeError):
            raise Damaged(f"the time {value!r:.40} in the column {self.column_name} is out of range") from None


class JsonField(JSONField):
    """A JSON column. Peewee builds its conditions for the kind of the bound database, so the first one binds it."""

    FOR_DATABASE = ("_helper", "_wrap", "_read")  # Peewee sets them to None while no database is bound

    def __init__(self, **options: Any) -> None:
        super().__init__(dumps=to_column, loads=from_json, **options)

    def _db_hook(self, database: Any) -> None:
        if database is not None:
            super()._db_hook(database)  # type: ignore[misc]
            return
        for name in self.FOR_DATABASE:
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        """Bind the database of the environment, because no database is bound. Raises SettingsError."""
        if name not in self.FOR_DATABASE:
            raise AttributeError(name)
        bind_default()
        return self.__dict__[name]


class Statuses:
    """The one table of what may follow what: steps go forward, endings are final."""

    def __init__(self, steps: tuple[str, ...], failed: str, cancelled: str) -> None:
        self.steps, self.pending, self.completed = steps, steps[0], steps[-1]
        self.failed, self.cancelled = failed, cancelled
        self.final = (self.completed, failed, cancelled)
        self.changeable = (self.pending, failed, cancelled)  # no worker uses the order, and no result belongs to it
        self.all = (*steps, failed, cancelled)
        self.before = {status: (*steps[:number], status) for number, status in enumerate(steps)}
        self.before |= {status: (*steps[:-1], status) for status in (failed, cancelled)}

    def is_active(self, status: str) -> bool:
        """True while a worker is at it."""
        return status in self.steps[1:-1]


JOB_STATUSES = Statuses(
    ("pending", "loading_model", "preparing_prompt", "generating_audio", "exporting", "completed"),
    failed="failed",
    cancelled="cancelled",
)
LOOP_STATUSES = Statuses(
    ("PENDING", "ANALYZING", "RENDERING", "EXPORTING", "COMPLETED"), failed="FAILED", cancelled="CANCELLED"
)


class Record(Model):
    """What all records share; the database keeps updated_at, strictly rising for each record."""

    created_at = UtcField(default=utc_now)
    updated_at = UtcField(default=utc_now)
    fingerprint = CharField(ID_LENGTH, null=True, help_text="SHA-256 of the request that made it")

    class Meta:
        database = database
        legacy_table_names = False
        only_save_dirty = True

    @property
    def record_id(self) -> str:
        """Its job_id, track_id or loop_id."""
        key: Any = self._meta.primary_key
        return str(self.__data__[key.name])

    @property
    def version(self) -> int:
        """A number that rises with every change; the ETag."""
        age: timedelta = self.updated_at - EPOCH
        return age // MICROSECOND


class Work(Record):
    """What Job and Loop share: something to do, its progress, and who is at it."""

    progress = IntegerField(default=0, help_text="0-100")
    message = TextField(null=True, help_text="what it is doing, in words")
    error = TextField(null=True)
    priority = IntegerField(default=0, help_text="higher first")
    attempts = IntegerField(default=0)
    max_attempts = IntegerField(default=3)
    worker = TextField(null=True)
    lease_token = TextField(null=True, help_text="shown to the claimer alone")
    lease_seconds = FloatField(null=True, help_text="how long each renewal lasts, as the claimer chose")
    lease_expires_at = UtcField(null=True)
    cancel_requested = BooleanField(default=False)
    started_at = UtcField(null=True)
    finished_at = UtcField(null=True)


class Job(Work):
    """A request for music, and what became of it."""

    statuses = JOB_STATUSES

    job_id = CharField(ID_LENGTH, primary_key=True, default=new_id)
    job_type = CharField(ID_LENGTH, default="diffrhythm")
    status = CharField(default=JOB_STATUSES.pending)
    prompt = TextField(null=True)
    metadata = JsonField(default=dict, help_text="language, genre, mood, …")
    seed = BigIntegerField(
        null=True, help_text="0 to 4294967295, of the first take; null until a worker claims the job"
    )
    takes = IntegerField(default=1, help_text="how many variants to make, 1-32")
    discarded_takes = BigIntegerField(default=0, help_text="bit n - 1: take n was discarded, and is not made again")
    file_manifest = JsonField(default=dict, help_text="paths and URLs")
    place = TextField(null=True, help_text="where it waits, if it was moved in the queue: database/queue.py")

    class Meta:
        indexes = (
            (("status", "created_at", "job_id"), False),
            (("status", "updated_at", "job_id"), False),
            (("status", "priority", "job_id"), False),
            (("job_type", "created_at", "job_id"), False),
            (("created_at", "job_id"), False),
        )


class Track(Record):
    """A generated piece of music; deleting its job deletes it."""

    track_id = CharField(ID_LENGTH, primary_key=True, default=new_id)
    job = ForeignKeyField(Job, backref="tracks", on_delete="CASCADE", index=False)
    title = CharField(LONGEST_TITLE, null=True, help_text="the name that a person chose")
    starred = BooleanField(default=False)
    duration = FloatField(null=True, help_text="seconds")
    metadata = JsonField(default=dict, help_text="artist, album, genre, track_name, …")
    seed = BigIntegerField(null=True, help_text="0 to 4294967295; null if the generator takes no seed")
    take = IntegerField(null=True, help_text="1-32; null if no generator of this service made it")
    provenance = JsonField(default=dict, help_text="how it was made: generator, version, command, parameters, …")
    file_path_wav = TextField(null=True)
    file_path_mp3 = TextField(null=True)

    class Meta:
        indexes = (
            (("job", "created_at", "track_id"), False),
            (("created_at", "track_id"), False),
            (("updated_at", "track_id"), False),
        )


class Loop(Work):
    """A looped variant of a track; deleting the track deletes it."""

    statuses = LOOP_STATUSES

    loop_id = CharField(ID_LENGTH, primary_key=True, default=new_id)
    track = ForeignKeyField(Track, backref="loops", on_delete="CASCADE", index=False)
    status = CharField(default=LOOP_STATUSES.pending)
    duration = FloatField(null=True, help_text="requested seconds; those of the file if bars were requested")
    bars = IntegerField(null=True, help_text="1-512, in place of duration")
    intro = BooleanField(default=True, help_text="begin with the beginning of the track")
    fade_in_out = BooleanField(default=False)
    format = CharField(default="MP3", help_text="MP3 or WAV")
    candidate = IntegerField(null=True, help_text="1 (best) to 5; null if start and end are used")
    start = FloatField(null=True, help_text="seconds in the track")
    end = FloatField(null=True, help_text="seconds in the track; after it, the music continues at start")
    exact = BooleanField(default=False, help_text="cut exactly at start and end")
    result_url = TextField(null=True)
    result_path = TextField(null=True)
    analysis = JsonField(default=dict, help_text="what the looper found")

    class Meta:
        indexes = (
            (("track", "created_at", "loop_id"), False),
            (("status", "created_at", "loop_id"), False),
            (("status", "updated_at", "loop_id"), False),
            (("status", "priority", "loop_id"), False),
            (("created_at", "loop_id"), False),
        )

    @property
    def length(self) -> str:
        """The length that was ordered, as 60 s or 8 bars."""
        if self.bars is None:
            return f"{self.duration:g} s"
        return f"{self.bars} bar{'s' * (self.bars != 1)}"


class Change(Model):
    """One change of one record, as the database itself writes it in the same transaction."""

    entity = CharField(help_text="job, track or loop")
    entity_id = CharField(ID_LENGTH)
    job_id = CharField(ID_LENGTH)
    change = CharField(help_text="created, updated or deleted")
    data = JsonField(help_text="status, progress, message and error at that moment")
    created_at = UtcField(default=utc_now)

    class Meta:
        database = database
        legacy_table_names = False

    def record(self) -> dict[str, Any]:
        """The event as a JSON object."""
        fields = {name: self.__data__[name] for name in ("event_id", "entity", "entity_id", "job_id", "change", "data")}
        return {**fields, "created_at": iso(self.created_at)}


class Event(Change):
    """A change that can be read again for some days."""

    event_id = BigAutoField()

    class Meta:
        indexes = ((("job_id", "event_id"), False),)


class Delivery(Change):
    """A change that ended a job or a loop, which WEBHOOK_URL has not received yet."""

    event_id = BigIntegerField(primary_key=True)
    webhook_id = CharField(help_text="the same at every attempt")
    attempts = IntegerField(default=0)
    due_at = UtcField(index=True, help_text="not before then")


class Discard(Model):
    """Tracks that were deleted together, with their loops, and that can still come back."""

    discard_id = CharField(ID_LENGTH, primary_key=True, default=new_id)
    job_id = CharField(ID_LENGTH, null=True, help_text="null if the tracks are of several jobs")
    state = CharField(default="waiting", help_text="waiting, undone, or expired: its files are being removed")
    tracks = IntegerField(default=0)
    loops = IntegerField(default=0)
    bytes = BigIntegerField(default=0, help_text="of all files that go")
    created_at = UtcField(default=utc_now)
    expires_at = UtcField(help_text="not before then")

    class Meta:
        database = database
        legacy_table_names = False


class Worker(Model):
    """A process that makes jobs or loops, and what it can make. It renews its row as long as it runs."""

    name = CharField(primary_key=True, help_text="host:process id")
    host = CharField()
    generators = JsonField(default=dict, help_text="job_type: description of the generator")
    started_at = UtcField(default=utc_now)
    seen_at = UtcField(default=utc_now, index=True, help_text="by the clock of the database")

    class Meta:
        database = database
        legacy_table_names = False
