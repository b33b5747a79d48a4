"""Makes a record of each old row. What had to change is kept in its metadata (of a loop: analysis), under `legacy`."""

from dataclasses import dataclass, field
from typing import Any

from database import to_column
from errors import Invalid
from maintenance.legacy import values
from maintenance.legacy.source import Old
from maintenance.legacy.values import Convert
from maintenance.transfer.form import defaults
from models import Job, Loop, Statuses, Track

MODELS: dict[str, Any] = {"jobs": Job, "tracks": Track, "loops": Loop}
NOTES = "legacy"


@dataclass
class Arrival:
    """A record made from an old row. originals: the old values that had to change. reasons: why, for a person."""

    table: str
    old: Old
    fields: dict[str, Any] = field(default_factory=dict)
    originals: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    @property
    def record_id(self) -> str:
        """The id of the record."""
        return str(self.fields[MODELS[self.table]._meta.primary_key.column_name])

    def has_become(self, record: dict[str, Any]) -> bool:
        """True if this record was made from this old row."""
        return bool(record["fingerprint"] == self.fields["fingerprint"])

    def take(self, name: str, convert: Convert) -> Any:
        """The value of an old column for this service."""
        value, reason = convert(self.old[name])
        if reason is not None:
            self.keep(name, reason)
        return value

    def keep(self, name: str, reason: str | None = None) -> None:
        """Keep the old value of a column in the notes, because the record has another one."""
        self.originals[name] = values.original(self.old[name])
        if reason is not None:
            self.reasons.append(reason)

    def take_id(self, name: str) -> str:
        """The id in an old column. Raises Invalid if there is none."""
        record_id = values.record_id(self.old[name])
        if record_id != self.old[name]:
            self.keep(name, f"the id {self.old[name]!r:.80} is not allowed, so it is {record_id}")
        return record_id

    def row(self) -> tuple[Any, ...]:
        """The values of all columns, in the order of rows.fields()."""
        model = MODELS[self.table]
        notes = "analysis" if model is Loop else "metadata"
        columns = {**defaults(model), **self.fields, notes: _with_notes(self.fields.get(notes, {}), self.originals)}
        return tuple(to_column(value) if isinstance(value, dict) else value for value in columns.values())


def arrive(table: str, old: Old, fallback: int) -> Arrival:
    """The record of an old row. Raises Invalid if it cannot arrive.

    fallback: the time of a row without times, in microseconds since 1970.
    """
    arrival = Arrival(table, old)
    created, updated, reason = values.times(old["created_at"], old["updated_at"], fallback)
    if reason is not None:
        arrival.keep("created_at")
        arrival.keep("updated_at", reason)
    arrival.fields = {"created_at": created, "updated_at": updated, "fingerprint": values.fingerprint(table, old)}
    {"jobs": _job, "tracks": _track, "loops": _loop}[table](arrival)
    return arrival


def _job(arrival: Arrival) -> None:
    arrival.fields |= {
        "job_id": arrival.take_id("job_id"),
        "job_type": arrival.take("job_type", values.job_type),
        "prompt": arrival.take("prompt", values.text),
        "metadata": arrival.take("job_metadata", values.json_object),
        "file_manifest": arrival.take("file_manifest", values.json_object),
        **_work(arrival, Job.statuses),
    }


def _track(arrival: Arrival) -> None:
    arrival.fields |= {
        "track_id": arrival.take_id("track_id"),
        "job_id": _parent(arrival, "job_id"),
        "duration": arrival.take("duration", values.duration),
        "metadata": arrival.take("track_metadata", values.json_object),
        "file_path_wav": arrival.take("file_path_wav", values.text),
        "file_path_mp3": arrival.take("file_path_mp3", values.text),
    }


def _loop(arrival: Arrival) -> None:
    seconds, reason = values.duration(arrival.old["duration"])
    if seconds is None:
        raise Invalid(reason or "it has no duration, and a loop needs one")
    arrival.fields |= {
        "loop_id": arrival.take_id("loop_id"),
        "track_id": _parent(arrival, "track_id"),
        "duration": seconds,
        "fade_in_out": arrival.take("fade_in_out", values.flag),
        "format": arrival.take("format", values.audio_format),
        "result_url": arrival.take("result_url", values.text),
        "result_path": arrival.take("result_path", values.text),
        **_work(arrival, Loop.statuses),
    }


def _parent(arrival: Arrival, name: str) -> str:
    try:
        return values.record_id(arrival.old[name])
    except Invalid:
        raise Invalid(f"it has no {name}") from None


def _work(arrival: Arrival, statuses: Statuses) -> dict[str, Any]:
    """The status and what belongs to it. Work that was running begins again, so its progress is 0."""
    status = arrival.take("status", lambda value: values.status(value, statuses))
    fields = {"status": status, "progress": arrival.take("progress", values.progress)}
    fields["error"] = arrival.take("error", values.text)
    if str(arrival.old["status"]).lower() != status.lower():
        arrival.keep("status")
    if status in statuses.final:
        fields["finished_at"] = arrival.fields["updated_at"]
    elif fields["progress"]:
        arrival.keep("progress")
        fields["progress"] = 0
    if status == statuses.failed and not fields["error"]:
        fields["error"] = f"The old service said {arrival.old['status']!r:.80} and no reason."
    return fields


def _with_notes(column: dict[str, Any], originals: dict[str, Any]) -> dict[str, Any]:
    if not originals:
        return column
    name = NOTES
    while name in column:
        name += "_"
    return {**column, name: originals}
