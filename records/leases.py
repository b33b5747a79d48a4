"""The methods that job and loop repositories share: leases, and statuses that only go forward.

A lease is a secret token that is valid for some seconds. While work is leased, only a caller with its token may change
it, and every change renews the lease. When a lease expires, the work goes back into the queue, and the old token is
refused.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar, cast

from peewee import SQL, Case, Expression, Value

from database import database, is_postgresql
from database.damage import Damaged
from database.hints import few_rows, skip_locked, wait_for_lock
from database.refusals import rules_named
from errors import Invalid, LedgerError
from models import EPOCH, MICROSECOND, Statuses, Work, microseconds, utc_now
from records import queue, rows, writes
from records.lease import Lease
from records.pages import Page, Plain, is_of_status
from records.refusals import has_result, lease_lost, order_in_use, wrong_step
from records.repository import Repository
from records.tally import EXPIRIES, add_to_tally, tally
from records.writes import Clause

W = TypeVar("W", bound=Work)

LEASED = {"status", "progress", "message", "error", "file_manifest", "result_url", "result_path", "analysis"}
FREE = {"lease_token": None, "lease_seconds": None, "lease_expires_at": None}
LEASE = """
    status = ?, worker = ?, lease_token = ?, lease_seconds = ?, lease_expires_at = ?, started_at = ?,
    attempts = attempts + 1"""
RENEWAL = "lease_expires_at = ? + CAST(COALESCE(lease_seconds, 0.0) * 1000000 AS BIGINT)"
RELEASE = """
    status = CASE WHEN cancel_requested THEN ? ELSE ? END,
    progress = CASE WHEN cancel_requested THEN progress ELSE 0 END,
    worker = CASE WHEN cancel_requested THEN worker END,
    attempts = CASE WHEN cancel_requested THEN attempts ELSE attempts - 1 END,
    started_at = CASE WHEN cancel_requested THEN started_at END,
    finished_at = CASE WHEN cancel_requested THEN CASE WHEN started_at > ? THEN started_at ELSE ? END END,
    message = NULL, lease_token = NULL, lease_seconds = NULL, lease_expires_at = NULL"""
# Both times are set only once. The end is never before the start, because the clock may be set back.
ONCE = {
    "started_at": "started_at = COALESCE(started_at, ?)",
    "finished_at": "finished_at = CASE WHEN started_at > COALESCE(finished_at, ?) THEN started_at "
    "ELSE COALESCE(finished_at, ?) END",
}
LOST = SQL("'worker lost after ' || attempts || CASE attempts WHEN 1 THEN ' attempt' ELSE ' attempts' END")


class WorkRepository(Repository[W]):
    """The base class of JobRepository and LoopRepository."""

    order_fields: ClassVar[frozenset[str]]  # they cannot change while a worker uses them, or when it has completed

    @property
    def statuses(self) -> Statuses:
        """The statuses of this kind of work, and which status may follow which."""
        return cast(Statuses, self.model.statuses)

    def get_by_status(self, status: str, limit: int = 50, offset: int = 0) -> list[W]:
        """Records in a status, newest first. Raises Invalid for an unknown status."""
        return self.page(Page(limit=limit, offset=offset), self.in_status(status))

    def in_status(self, *statuses: str) -> Expression:
        """The condition that the status is one of these, for page() and count(). Raises Invalid for any other.

        Only as many records are active as there are workers, so these are few. No index has several statuses in the
        order of a list.
        """
        for status in statuses:
            self._require_status(status)
        is_one = Plain(self.model.status, "IN", statuses)
        return few_rows(is_one) if len(statuses) > 1 and all(map(self.statuses.is_active, statuses)) else is_one

    def tally(self) -> dict[str, int]:
        """The number of records in each status."""
        return {**dict.fromkeys(self.statuses.all, 0), **tally(self.name)}

    def _lists(self, page: Page, where: Sequence[Expression]) -> list[Sequence[Expression]]:
        """One list for each status, if several are read: no index has several statuses in the order of a page.

        The order of updated_at or priority has an index only within a status. But what belongs to one record is sorted.
        """
        chosen = [condition for condition in where if is_of_status(condition)]
        others = [condition for condition in where if not is_of_status(condition)]
        if chosen:
            every = [cast(Plain, condition).values for condition in chosen]
            statuses = tuple(status for status in dict.fromkeys(every[0]) if all(status in values for values in every))
        elif page.sort in ("updated_at", "priority") and not any(map(self._is_of_parent, where)):
            statuses = self.statuses.all
        else:
            statuses = ()
        return [(Plain(self.model.status, "=", status), *others) for status in statuses] or [where]

    def _is_of_parent(self, condition: Expression) -> bool:
        return any(getattr(condition, "lhs", None) is field for field in self.model._meta.refs)

    def claim(self, worker: str, lease_seconds: float = 60, lease_token: str | None = None) -> W | None:
        """Lease the best pending record to a worker: highest priority, then oldest. None if nothing is pending.

        None also for jobs if the queue is paused.

        lease_token: a new token of the caller, which can release_token() if it gets no answer. None: any token.
        """
        return self._claim(worker, lease_seconds, lease_token)

    def end_and_claim(self, end: Callable[[], W | None], claim: Callable[[], W | None]) -> tuple[W | None, W | None]:
        """Record the end of an attempt and lease the next record, in one transaction with one write to the disk.

        end() and claim() are calls of this repository. Returns their records. If end() returns None, because the record
        was deleted, nothing is claimed. If one of them raises an error, nothing is changed.
        """
        with database.atomic():
            ended = end()
            return ended, None if ended is None else claim()

    def heartbeat(self, record_id: str, lease_token: str) -> W | None:
        """Renew the lease. Returns the record with cancel_requested, or None if it was deleted. Raises LeaseLost."""
        return self._change_leased(record_id, lease_token, [(RENEWAL, (microseconds(utc_now()),))])

    def release(self, record_id: str, lease_token: str) -> W | None:
        """Put leased work back into the queue; the attempt is not counted. None if it was deleted. Raises LeaseLost.

        Work whose cancel was requested ends as cancelled.
        """
        return self._change_leased(record_id, lease_token, [self._release()])

    def release_token(self, lease_token: str) -> W | None:
        """The same as release() for the work that has this lease. None if no work has it."""
        return self._write([self._release()], [("lease_expires_at > 0 AND lease_token = ?", (lease_token,))])

    def cancel(self, record_id: str) -> W | None:
        """Cancel work. Leased work ends when its worker reads cancel_requested. Finished work is not changed."""
        return self.cancel_all([record_id]).get(record_id)

    def cancel_all(self, record_ids: Sequence[str]) -> dict[str, W]:
        """The same as cancel() for several records, in one transaction. Returns those that exist, by id."""
        model = self.model
        here = (self.key.in_(record_ids), model.status.not_in(self.statuses.final))
        with self._locked(*record_ids):
            ended = self._change_all(self._ended(self.statuses.cancelled), *here, model.lease_token.is_null())
            if len(ended) < len(record_ids):
                self._change_all({"cancel_requested": True}, *here, ~self._is_cancel_requested())
            return self.get_by_ids(record_ids)

    def retry(self, record_id: str) -> W | None:
        """Put failed or cancelled work back into the queue; its attempts stay. Pending or running work is not changed.

        Returns None if it was deleted. Raises WrongStatus for completed work.
        """
        record = self.retry_all([record_id]).get(record_id)
        if record is not None and cast(Any, record).status == self.statuses.completed:
            raise has_result(record)
        return record

    def retry_all(self, record_ids: Sequence[str]) -> dict[str, W]:
        """The same as retry() for several records, in one transaction. Completed work is not changed, either.

        Returns those that exist, by id.
        """
        statuses = self.statuses
        with self._locked(*record_ids):
            self._change_all(
                self._again(), self.key.in_(record_ids), self.in_status(statuses.failed, statuses.cancelled)
            )
            return self.get_by_ids(record_ids)

    def leases(self) -> list[Lease]:
        """All leases. This includes expired leases whose work is not in the queue again yet."""
        model = self.model
        read = model.select(self.key, model.lease_token, model.lease_seconds, model.lease_expires_at)
        return [
            Lease(record_id, token, seconds or 0.0, expires_at)
            for record_id, token, seconds, expires_at in read.where(model.lease_expires_at > EPOCH).tuples()
        ]

    def requeue_expired(self, now: datetime | None = None) -> list[W]:
        """Put work back into the queue whose lease has expired by the clock of this machine: requeue()."""
        now = now or utc_now()
        return self.requeue([lease for lease in self.leases() if lease.has_expired(now)])

    def requeue(self, lost: Collection[Lease]) -> list[W]:
        """Put the work of these leases back into the queue. Cancelled work, and work without attempts left, ends.

        A lease that was renewed or ended meanwhile is left alone. Returns the records with the lease_token that they
        have lost.
        """
        if not lost:
            return []
        model = self.model
        is_lost = self.key.in_([lease.record_id for lease in lost])
        is_lost &= model.lease_expires_at.in_([lease.expires_at for lease in lost])
        cancelled, failed = self._ended(self.statuses.cancelled), {**self._ended(self.statuses.failed), "error": LOST}
        with database.atomic():
            tokens = dict(skip_locked(model.select(self.key, model.lease_token).where(is_lost)).tuples())
            expired = self.key.in_(list(tokens)) & is_lost
            put_back = self._change_all(cancelled, expired, self._is_cancel_requested())
            put_back += self._change_all(failed, expired, model.attempts >= model.max_attempts)
            put_back += self._change_all(self._queued(), expired)
            if put_back:
                add_to_tally(EXPIRIES, self.name, len(put_back))
        for record in put_back:
            record.lease_token = tokens[record.record_id]
        return put_back

    @contextmanager
    def _locked(self, *record_ids: str) -> Iterator[None]:
        """A transaction in which no other connection changes the records."""
        with database.atomic():
            if is_postgresql():  # on SQLite, a writer is alone
                list(wait_for_lock(self.model.select(self.key).where(self.key.in_(record_ids)).order_by(self.key)))
            yield

    def _claim(
        self, worker: str, lease_seconds: float, lease_token: str | None, types: tuple[str, ...] = ()
    ) -> W | None:
        """The same as claim(), among jobs of these types; () for any. If nothing is pending, it takes no lock."""
        if not is_postgresql() and not database.in_transaction() and not queue.has_head(self.model, types):
            return None
        token, now = lease_token or os.urandom(16).hex(), microseconds(utc_now())
        end = now + timedelta(seconds=lease_seconds) // MICROSECOND
        lease = (self.statuses.steps[1], worker, token, lease_seconds, end, now)
        is_best = (queue.is_head(self.model, len(types), is_postgresql()), types)
        try:
            return self._write([(LEASE, lease), *self._drawn()], [(queue.goes_on(self.model), ()), is_best])
        except Invalid as error:
            if not error.errors:  # an argument of the claim does not fit its column
                raise
            raise Damaged(f"the {self.name} that is next cannot be claimed: {error}") from None

    def _drawn(self) -> list[Clause]:
        """The fields that a claim draws at random if the order leaves them open."""
        return []

    def _release(self) -> Clause:
        pending, cancelled, now = self.statuses.pending, self.statuses.cancelled, microseconds(utc_now())
        return RELEASE, (cancelled, pending, now, now)

    def _change_leased(self, record_id: str, lease_token: str, changes: list[Clause]) -> W | None:
        """Change leased work. None if it was deleted. Raises LeaseLost."""
        changed = self._write(changes, [self._is(record_id), ("lease_token = ?", (lease_token,))])
        if changed is not None:
            return changed
        record = self.get_by_id(record_id)
        if record is not None:
            raise lease_lost(record)
        return None

    def _write(self, changes: list[Clause], guards: list[Clause]) -> W | None:
        """Change the one record that meets every guard. Returns it, or None if no record meets them."""
        with rules_named(self.model), writes.transaction():
            row = writes.update(self.model, [writes.touched(utc_now()), *changes], guards)
        return None if row is None else rows.record(self.model, row)

    def _queued(self) -> dict[str, Any]:
        """The fields of work that waits for its next worker."""
        waiting = {"status": self.statuses.pending, "progress": 0, "message": None, "worker": None, "started_at": None}
        return {**FREE, **waiting}

    def _again(self) -> dict[str, Any]:
        """The fields of ended work that is put back into the queue."""
        return {**self._queued(), "error": None, "cancel_requested": False, "finished_at": None}

    def _ended(self, status: str) -> dict[str, Any]:
        """The fields of work that ends without a result."""
        return {**FREE, "status": status, "message": None, "finished_at": self._after_start(self._moment(utc_now()))}

    def _after_start(self, moment: Any) -> Any:
        """The later one of the moment and started_at: the clock may be set back while work runs."""
        started_at = self.model.started_at
        return Case(None, [(started_at > moment, started_at)], moment)

    def _moment(self, moment: datetime) -> Value:
        return Value(self.model.started_at.db_value(moment), converter=False)

    def _is_cancel_requested(self) -> Expression:
        return cast(Expression, self.model.cancel_requested == True)  # noqa: E712

    def _change_all(self, changes: dict[str, Any], *where: Expression) -> list[W]:
        """Change the records that meet every condition, in one statement. Returns them as they are after it."""
        model = self.model
        query = model.update(changes).where(*where).returning(self.key)
        with database.atomic():
            keys = [key for (key,) in query.tuples().execute()]
            return list(self.get_by_ids(keys).values()) if keys else []

    def _require_status(self, status: Any) -> str:
        if status not in self.statuses.all:
            raise Invalid(f"status {status!r} is not one of {', '.join(self.statuses.all)}", "status")
        return str(status)

    def _allowed(self, changes: dict[str, Any], lease_token: str | None) -> list[Clause]:
        guards = super()._allowed(changes, lease_token)
        if "status" in changes:
            guards.append(writes.has_status(self.statuses.before[self._require_status(changes["status"])]))
        if "progress" in changes and changes.get("status") != self.statuses.completed:
            guards.append(writes.has_status(self.statuses.final, "NOT "))
        if lease_token is not None:
            guards.append(("lease_token = ?", (lease_token,)))
        elif LEASED & changes.keys():
            guards.append(("lease_token IS NULL", ()))
        if self.order_fields & changes.keys():
            guards.append(writes.has_status(self.statuses.changeable))
        return guards

    def _implied(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Add what follows from a status: its times, progress 100, the end of the lease."""
        status = fields.get("status", "")
        if self.statuses.is_active(status):
            return {"started_at": utc_now(), **fields}
        if status in self.statuses.final:
            fields = {"finished_at": utc_now(), **fields, **FREE}
        return {**fields, "progress": 100} if status == self.statuses.completed else fields

    def _assignments(self, changes: dict[str, Any], lease_token: str | None) -> list[Clause]:
        """The changes, and the renewal of the lease. The start and the end are recorded only once."""
        implied = self._implied(changes)
        once = {name: microseconds(implied.pop(name)) for name in ONCE if implied.get(name) is not None}
        clauses = [writes.assign(self.model, name, value) for name, value in implied.items()]
        clauses += [(ONCE[name], (value,) * ONCE[name].count("?")) for name, value in once.items()]
        if lease_token is not None and "lease_expires_at" not in implied:
            clauses.append((RENEWAL, (microseconds(utc_now()),)))
        return clauses

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        row = super()._row(fields)
        if "status" in row:
            self._require_status(row["status"])
        return row

    def _refusal(self, record: Any, changes: dict[str, Any], lease_token: str | None) -> LedgerError:
        if record.lease_token != lease_token and (lease_token is not None or LEASED & changes.keys()):
            return lease_lost(record)
        if self.order_fields & changes.keys() and record.status not in self.statuses.changeable:
            return order_in_use(record, self.order_fields & changes.keys())
        return wrong_step(record, changes)
