"""The verbs: create, read, update and delete jobs, tracks and loops; and JobStore, the cache of often-read jobs."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import cysqlite
from peewee import Expression, Field, Tuple, fn

from database import database, init_database, is_postgresql
from errors import Conflict, Invalid, Stale, WrongStatus
from models import JOB_STATUSES, LOOP_STATUSES, Job, Loop, Record, Statuses, Track, Work, utc_now
from rules import rules_named

R = TypeVar("R", bound=Record)
W = TypeVar("W", bound=Work)


class Session:
    """An open database connection of this thread, and a context manager that closes it."""

    def __init__(self) -> None:
        self._opened = database.connect(reuse_if_open=True)

    def close(self) -> None:
        """Close what this session opened; repositories without a session open their own."""
        if self._opened and not database.is_closed():
            database.close()
        self._opened = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def get_session() -> Session:
    """A Session on the database of the settings, its schema brought up to date at the first call of the process."""
    _prepare_once()
    return Session()


_prepared: set[int] = set()


def _prepare_once() -> None:
    if id(database.obj) not in _prepared:
        init_database()
        _prepared.add(id(database.obj))


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted: a sort field, its direction, and where to begin."""

    sort: str = "created_at"
    descending: bool = True
    limit: int = 50
    offset: int = 0
    after: tuple[Any, str] | None = None


class Repository(Generic[R]):
    """The verbs all records share; made with or without a session."""

    model: ClassVar[type[Any]]

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.key: Field[Any] = self.model._meta.primary_key

    def get_by_id(self, record_id: str) -> R | None:
        """The record, or None."""
        return cast("R | None", self.model.get_or_none(self.key == record_id))

    def get_all(self, limit: int = 50, offset: int = 0) -> list[R]:
        """Records, newest first."""
        return self.page(Page(limit=limit, offset=offset))

    def create(self, **fields: Any) -> R:
        """The new record, durable when this returns. Raises Conflict for a taken id, Invalid, MissingParent."""
        record, created = self.create_once(**fields)
        if not created:
            raise Conflict(f"{self.name} {record.record_id} exists already")
        return record

    def create_once(self, **fields: Any) -> tuple[R, bool]:
        """(record, True) when made now, (record, False) when the same request made it before.

        Raises Conflict when the id is taken by another request, Invalid, MissingParent.
        """
        now = utc_now()
        row = {"created_at": now, "updated_at": now, **self._implied(self._row(fields))}
        record = self.model(**row, fingerprint=fingerprint(fields))
        with rules_named(self.model):
            insert = self.model.insert(record.__data__).on_conflict("nothing", conflict_target=(self.key,))
            made = insert.as_rowcount().execute()
        kept = self.get_by_id(record.record_id)
        if kept is None:
            raise Conflict(f"{self.name} {record.record_id} was deleted while it was being made: send it again")
        if kept.fingerprint != record.fingerprint:
            raise Conflict(f"{self.name} {record.record_id} exists already, made from another request")
        return kept, bool(made)

    def delete(self, record_id: str, if_match: Sequence[int] | None = None) -> bool:
        """True when it was there and is gone, and what belonged to it too. Raises Stale."""
        with database.atomic():
            gone = self.model.delete().where(self.key == record_id, *self._unchanged(if_match)).execute()
            kept = None if gone or if_match is None else self.get_by_id(record_id)
        if kept is not None:
            raise Stale(f"{self.name} {record_id} changed since it was read: read it again")
        return bool(gone)

    def page(self, page: Page, *where: Expression) -> list[R]:
        """The records that meet every condition, in the order of page.sort and then of their ids."""
        return list(self._selected(page, *where))

    def count(self, *where: Expression) -> int:
        """How many records meet every condition."""
        return cast(int, self._where(self.model.select(), where).count())

    @property
    def name(self) -> str:
        """'job', 'track' or 'loop'."""
        return str(self.model._meta.table_name)

    def _selected(self, page: Page, *where: Expression) -> Any:
        """The query of a page; keyset when page.after says where the one before ended."""
        sort = self.model._meta.fields[page.sort]
        order = (sort, self.key) if sort is not self.key else (sort,)
        query = self._where(self.model.select(), where)
        if page.after is not None:
            here, there = Tuple(sort, self.key), Tuple(sort.db_value(page.after[0]), page.after[1])
            query = query.where(here < there if page.descending else here > there)
        direction = [field.desc() if page.descending else field.asc() for field in order]
        return query.order_by(*direction).limit(page.limit).offset(page.offset or None)

    def _where(self, query: Any, conditions: Iterable[Expression]) -> Any:
        conditions = tuple(conditions)
        return query.where(*conditions) if conditions else query

    def _update(self, record_id: str, changes: dict[str, Any], if_match: Sequence[int] | None = None) -> R | None:
        """The record as it is after the change; None when there is none. One statement decides and changes.

        Raises Invalid, MissingParent, WrongStatus, and Stale when its version is none of if_match.
        """
        row = self._row(changes)
        with rules_named(self.model), database.atomic():
            guards = (self.key == record_id, *self._unchanged(if_match), *self._allowed(row))
            done = self.model.update(self._once(self._implied(row))).where(*guards).execute() if row else None
            record = self.get_by_id(record_id)
        if record is None or done:
            return record
        if if_match is not None and record.version not in if_match:
            raise Stale(f"{self.name} {record_id} changed since it was read: read it again")
        if row:
            raise WrongStatus(self._refusal(record, row))
        return record

    def _once(self, row: dict[str, Any]) -> dict[str, Any]:
        """A start and an end are recorded once; a later step leaves them."""
        fields = self.model._meta.fields
        times = [name for name in ("started_at", "finished_at") if row.get(name) is not None]
        return {**row, **{name: fn.COALESCE(fields[name], fields[name].db_value(row[name])) for name in times}}

    def _unchanged(self, versions: Sequence[int] | None) -> list[Expression]:
        updated_at: Any = self.model._meta.fields["updated_at"]
        return [] if versions is None else [updated_at.in_(list(versions))]

    def _allowed(self, row: dict[str, Any]) -> list[Expression]:
        """What must hold for these changes, besides the rules the database keeps."""
        return []

    def _implied(self, row: dict[str, Any]) -> dict[str, Any]:
        """The changes and what follows from them."""
        return row

    def _refusal(self, record: Any, row: dict[str, Any]) -> str:
        """Why _allowed() did not hold for this record."""
        return f"{self.name} {record.record_id} does not allow this change"

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Column names and values; a foreign key may be given as job_id, job or a record."""
        known = self.model._meta.combined
        unknown = [name for name in fields if name not in known]
        if unknown:
            raise Invalid(f"{self.name} has no field {', '.join(unknown)}", unknown[0])
        return {known[name].name: value for name, value in fields.items()}


class WorkRepository(Repository[W]):
    """What jobs and loops share: statuses that only go forward."""

    @property
    def statuses(self) -> Statuses:
        """The table of what may follow what."""
        return cast(Statuses, self.model.statuses)

    def get_by_status(self, status: str, limit: int = 50, offset: int = 0) -> list[W]:
        """Those in a status, newest first. Raises Invalid for an unknown status."""
        return self.page(Page(limit=limit, offset=offset), self.in_status(status))

    def in_status(self, *statuses: str) -> Expression:
        """The condition for page() and count(). Raises Invalid for an unknown status."""
        for status in statuses:
            self._known(status)
        return cast(Expression, self.model.status.in_(statuses))

    def _known(self, status: Any) -> str:
        if status not in self.statuses.all:
            raise Invalid(f"status {status!r} is not one of {', '.join(self.statuses.all)}", "status")
        return str(status)

    def _allowed(self, row: dict[str, Any]) -> list[Expression]:
        if "status" in row:
            return [self.model.status.in_(self.statuses.before[self._known(row["status"])])]
        return [self.model.status.not_in(self.statuses.final)] if "progress" in row else []

    def _implied(self, row: dict[str, Any]) -> dict[str, Any]:
        """A status brings its times along, and completed is 100 %."""
        status, now = row.get("status", ""), utc_now()
        if self.statuses.is_active(status):
            row = {"started_at": now, **row}
        if status in self.statuses.final:
            row = {"finished_at": now, **row}
        return {**row, "progress": 100} if status == self.statuses.completed else row

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        row = super()._row(fields)
        if "status" in row:
            self._known(row["status"])
        return row

    def _refusal(self, record: Any, row: dict[str, Any]) -> str:
        step = f"it cannot become {row['status']}" if "status" in row else "its progress is final"
        return f"{self.name} {record.record_id} is {record.status}: {step}"


class JobRepository(WorkRepository[Job]):
    """Jobs."""

    model = Job

    def update(self, job_id: str, if_match: Sequence[int] | None = None, **changes: Any) -> Job | None:
        """The changed job, or None when there is none. Raises WrongStatus, Invalid, Stale."""
        return self._update(job_id, changes, if_match)


class TrackRepository(Repository[Track]):
    """Tracks."""

    model = Track

    def update(self, track_id: str, if_match: Sequence[int] | None = None, **changes: Any) -> Track | None:
        """The changed track, or None when there is none. Raises Invalid, MissingParent, Stale."""
        return self._update(track_id, changes, if_match)

    def get_by_job_id(self, job_id: str) -> list[Track]:
        """The tracks of a job, oldest first."""
        return self.of_jobs([job_id]).get(job_id, [])

    def of_jobs(self, job_ids: Iterable[str]) -> dict[str, list[Track]]:
        """The tracks of several jobs by job id, oldest first, in one statement."""
        return _by_parent(Track, "job", job_ids)


class LoopRepository(WorkRepository[Loop]):
    """Loops."""

    model = Loop

    def update(self, loop_id: str, if_match: Sequence[int] | None = None, **changes: Any) -> Loop | None:
        """The changed loop, or None when there is none. Raises WrongStatus, Invalid, MissingParent, Stale."""
        return self._update(loop_id, changes, if_match)

    def get_by_track_id(self, track_id: str) -> list[Loop]:
        """The loops of a track, oldest first."""
        return self.of_tracks([track_id]).get(track_id, [])

    def of_tracks(self, track_ids: Iterable[str]) -> dict[str, list[Loop]]:
        """The loops of several tracks by track id, oldest first, in one statement."""
        return _by_parent(Loop, "track", track_ids)


class JobStore:
    """A bounded cache of often-read jobs that is never stale; the least recently read job makes room.

    Before a held job is given out, its version is checked: on SQLite the database's data_version, as seen by a
    connection of the store's own (so that commits of this process count too); on PostgreSQL the row's own xmin, since
    event ids are not committed in order.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self._held: OrderedDict[str, tuple[Any, Job]] = OrderedDict()
        self._lock = threading.Lock()
        self._watcher = None if is_postgresql() else cysqlite.Connection(database.database)

    def __len__(self) -> int:
        return len(self._held)

    def get(self, job_id: str) -> Job | None:
        """The job as last committed, or None. It is shared: read it, do not change it."""
        if database.in_transaction():  # what this thread sees may be rolled back
            return JobRepository().get_by_id(job_id)
        version = self._version(job_id)
        with self._lock:
            held = self._held.get(job_id)
            if held is not None and held[0] == version:
                self._held.move_to_end(job_id)
                return held[1]
        return self._keep(job_id, version)

    def close(self) -> None:
        """Forget everything and close the store's connection."""
        with self._lock:
            self._held.clear()
            if self._watcher is not None:
                self._watcher.close()

    def _version(self, job_id: str) -> Any:
        if self._watcher is None:
            query = "SELECT xmin::text, ctid::text FROM job WHERE job_id = %s"
            return database.execute_sql(query, (job_id,)).fetchone()
        with self._lock:
            return self._watcher.execute("PRAGMA data_version").fetchone()

    def _keep(self, job_id: str, version: Any) -> Job | None:
        """Read after the version: a change in between makes the kept version too old, never the kept job."""
        job = JobRepository().get_by_id(job_id)
        with self._lock:
            self._held.pop(job_id, None)
            if job is not None:
                self._held[job_id] = (version, job)
                if len(self._held) > self.size:
                    self._held.popitem(last=False)
        return job


def stats() -> dict[str, Any]:
    """Counts by status, jobs and loops that wait, and the mean seconds of the last hundred completed jobs."""
    taken = (
        Job.select((Job.finished_at - Job.started_at).alias("taken"))
        .where(Job.status == JOB_STATUSES.completed, Job.started_at.is_null(False))
        .order_by(Job.created_at.desc())
        .limit(100)
    )
    mean = Job.select(fn.AVG(taken.c.taken)).from_(taken).scalar()
    counts = {model: _counts_by_status(model) for model in (Job, Loop)}
    return {
        "jobs": counts[Job],
        "loops": counts[Loop],
        "tracks": Track.select().count(),
        "queue_length": counts[Job][JOB_STATUSES.pending] + counts[Loop][LOOP_STATUSES.pending],
        "mean_job_seconds": None if mean is None else float(mean) / 1_000_000,
    }


def _counts_by_status(model: Any) -> dict[str, int]:
    rows = model.select(model.status, fn.COUNT(model.status)).group_by(model.status).tuples()
    return {**dict.fromkeys(model.statuses.all, 0), **dict(rows)}


def fingerprint(fields: dict[str, Any]) -> str:
    """SHA-256 of what was asked for, so that the same request twice makes one record."""
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _by_parent(model: Any, parent: str, ids: Iterable[str]) -> dict[str, list[Any]]:
    field = model._meta.fields[parent]
    children: dict[str, list[Any]] = {}
    for child in model.select().where(field.in_(list(ids))).order_by(model.created_at, model._meta.primary_key):
        children.setdefault(child.__data__[parent], []).append(child)
    return children
