"""The methods that all records have: create, read, list, change and delete, each with one statement if possible."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar, cast

from peewee import SQL, Expression, Field, Tuple

from database import database, is_postgresql
from database.hints import leave_few_rows, unindexed, wait_for_lock
from database.json_text import dump
from database.refusals import rules_named
from errors import Conflict, Invalid, LedgerError, Stale
from models import Record, new_id, utc_now
from records import rows, writes
from records.pages import (
    Key,
    Page,
    Plain,
    in_order,
    is_of_status,
    key_columns,
    keys_of,
    merged,
    plain_list,
    sorted_by,
)
from records.rows import Row
from records.session import Session
from records.tally import tally
from records.writes import Clause

R = TypeVar("R", bound=Record)
MOST_ROWS = 2**63 - 1  # the largest limit
TRIES = 2  # of a change


class Repository(Generic[R]):
    """The methods that all records have. Works with or without a session."""

    model: ClassVar[Any]

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.key: Field[Any] = self.model._meta.primary_key

    def get_by_id(self, record_id: str) -> R | None:
        """The record, or None."""
        row = self.get_row(record_id)
        return None if row is None else cast(R, rows.record(self.model, row))

    def get_row(self, record_id: str) -> Row | None:
        """The row of a record, with rows.columns() of the model; None if there is no such record."""
        model: Any = self.model
        select = _select_by_id(model, rows.columns(model), database.param)
        return cast("Row | None", database.execute_sql(select, (record_id,)).fetchone())

    def get_by_ids(self, record_ids: Sequence[str]) -> dict[str, R]:
        """Those of these records that exist, by id."""
        return {row[rows.key(self.model)]: rows.record(self.model, row) for row in self.get_rows(record_ids)}

    def get_value(self, record_id: str, name: str) -> Any:
        """The value of one column of a record, as it is stored; None if there is no such record."""
        model: Any = self.model
        select = _select_by_id(model, f'"{name}"', database.param)
        row = database.execute_sql(select, (record_id,)).fetchone()
        return row and row[0]

    def get_all(self, limit: int = 50, offset: int = 0) -> list[R]:
        """Records, newest first."""
        return self.page(Page(limit=limit, offset=offset))

    def create(self, **fields: Any) -> R:
        """Create a record. Returns it when it is on disk. Raises Conflict for a taken id, Invalid, MissingParent."""
        record, created = self.create_once(**fields)
        if not created:
            raise Conflict(f"{self.name} {record.record_id} exists already")
        return record

    def create_once(self, **fields: Any) -> tuple[R, bool]:
        """(record, True) if this call created the record; (record, False) if the same request had created it before.

        Raises Conflict when the id is taken by another request, Invalid, MissingParent.
        """
        row, is_new = self.create_row(fields)
        return rows.record(self.model, row), is_new

    def create_row(self, fields: dict[str, Any]) -> tuple[Row, bool]:
        """The same as create_once(), with the row of the record."""
        now, key = utc_now(), self.key.name
        values = {key: new_id(), "created_at": now, "updated_at": now, **self._implied(self._row(fields))}
        with rules_named(self.model):
            request = values["fingerprint"] = fingerprint(fields)
            with writes.transaction():
                row = writes.insert(self.model, values)
                if row is not None:
                    return row, True
                row = self.get_row(values[key])
        if row is None:
            raise Conflict(f"{self.name} {values[key]} was deleted while it was being made: send it again")
        if row[rows.place(self.model, "fingerprint")] != request:
            raise self.taken(values[key])
        return row, False

    def taken(self, record_id: str) -> Conflict:
        """The error for an id that belongs to a record made from another request."""
        return Conflict(f"{self.name} {record_id} exists already, made from another request")

    def is_recorded(self, fields: dict[str, Any]) -> bool:
        """True if the same request has created its record before, so that create_once() would return that record."""
        with rules_named(self.model):
            row = self.get_row(fields[self.key.name]) if self.key.name in fields else None
            return row is not None and row[rows.place(self.model, "fingerprint")] == fingerprint(fields)

    def delete(self, record_id: str, if_match: Sequence[int] | None = None) -> bool:
        """Delete a record and its children. Returns False if there is none. Raises Stale."""
        with writes.transaction():
            gone = writes.delete(self.model, [self._is(record_id), *self._unchanged(if_match)])
            kept = None if gone or if_match is None else self.get_row(record_id)
        if kept is not None:
            raise self._stale(record_id)
        return gone

    def delete_all(self, record_ids: Sequence[str]) -> list[str]:
        """Delete records and their children, in one transaction. Returns the ids of those that were there."""
        here = self.key.in_(record_ids)
        with database.atomic():
            list(wait_for_lock(self.model.select(self.key).where(here).order_by(self.key)))
            return [key for (key,) in self.model.delete().where(here).returning(self.key).tuples().execute()]

    def page(self, page: Page, *where: Expression) -> list[R]:
        """The records that meet every condition, in the order of page.sort and then of their ids."""
        return [rows.record(self.model, row) for row in self.page_rows(page, *where)]

    def page_rows(self, page: Page, *where: Expression) -> list[Row]:
        """The rows of these records, with rows.columns() of the model."""
        if leave_few_rows(where):
            return self._read(*self._selected(page, *where).sql())
        return self._merged(rows.columns(self.model), page, where)

    def page_keys(self, page: Page, *where: Expression) -> tuple[list[Key], list[Row]]:
        """(the keys of these records, their rows). Without rows if only the keys were read: for plain conditions."""
        if self._is_plain(where):
            return self._merged(key_columns(self.model, page.sort), page, where), []
        return self.page_keys_and_rows(page, *where)

    def page_keys_and_rows(self, page: Page, *where: Expression) -> tuple[list[Key], list[Row]]:
        """(the keys of these records, their rows), read by the same statement."""
        read = self.page_rows(page, *where)
        return keys_of(self.model, page.sort, read), read

    def get_rows(self, record_ids: Sequence[str]) -> list[Row]:
        """The rows of these records, in any order, without those that do not exist."""
        return self._read(_select_where_in(self.model, self.key.column_name, len(record_ids)), record_ids)

    def _lists(self, page: Page, where: Sequence[Expression]) -> list[Sequence[Expression]]:
        """The lists that are merged into a page, as conditions."""
        return [where]

    def _merged(self, columns: str, page: Page, where: Sequence[Expression]) -> list[Any]:
        """One page, merged from several lists."""
        order, lists = in_order(self.model, page), self._lists(page, where)
        parts = [self._list(columns, page, *conditions) for conditions in lists]
        inner = [min(page.limit + page.offset, MOST_ROWS), 0] if is_postgresql() and len(parts) > 1 else []
        values = [value for _, values in parts for value in (*values, *inner)]
        return self._read(merged([sql for sql, _ in parts], order), [*values, page.limit, page.offset])

    def _list(self, columns: str, page: Page, *where: Expression) -> tuple[str, list[Any]]:
        """The SQL of a list without its order, and its parameters."""
        if self._is_plain(where):
            return plain_list(self.model, columns, page, cast("tuple[Plain, ...]", where))
        sql, values = self._selected(page, *where).order_by().limit(None).offset(None).sql()
        return str(sql), list(values)

    def _read(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return cast("list[Any]", database.execute_sql(sql, values).fetchall())

    def count(self, *where: Expression) -> int:
        """How many records meet every condition. Without a condition but the status, it reads the tally alone."""
        if not where:
            return sum(tally(self.name).values())
        if len(where) == 1 and is_of_status(where[0]):
            numbers = tally(self.name)
            return sum(numbers.get(status, 0) for status in set(cast(Plain, where[0]).values))
        return cast(int, self._where(self.model.select(), where).count())

    @property
    def name(self) -> str:
        """'job', 'track' or 'loop'."""
        return str(self.model._meta.table_name)

    def _is_plain(self, where: Sequence[Expression]) -> bool:
        """True if plain_list() can write the SQL for these conditions."""
        return all(isinstance(condition, Plain) for condition in where)

    def _selected(self, page: Page, *where: Expression) -> Any:
        """The query of a page; keyset when page.after says where the one before ended."""
        field = self.model._meta.fields[page.sort]
        by = SQL(sorted_by(self.model, page.sort))
        sort = unindexed(by, 0) if leave_few_rows(where) else by
        query = self._where(self.model.select(SQL(rows.columns(self.model))), where)
        if page.after is not None:
            here, there = Tuple(sort, self.key), Tuple(field.db_value(page.after[0]), page.after[1])
            query = query.where(here < there if page.descending else here > there)
        order = [by.desc() if page.descending else by.asc() for by in (sort, self.key)]
        return query.order_by(*order).limit(page.limit).offset(page.offset or None)

    def _where(self, query: Any, conditions: Iterable[Expression]) -> Any:
        conditions = tuple(conditions)
        return query.where(*conditions) if conditions else query

    def update_row(
        self,
        record_id: str,
        changes: dict[str, Any],
        if_match: Sequence[int] | None = None,
        lease_token: str | None = None,
    ) -> Row | None:
        """Change a record. Returns its new row, or None if there is none. One statement checks and changes it.

        Raises Invalid, MissingParent, WrongStatus, LeaseLost, and Stale when its version is none of if_match.
        """
        self._check_change(record_id, changes)
        changes = self._row(changes)
        if changes:
            return self._change_row(record_id, changes, if_match, lease_token)
        with rules_named(self.model):
            row = self.get_row(record_id)
        if row is not None:
            self._require_version(row, if_match)
        return row

    def _check_change(self, record_id: str, changes: dict[str, Any]) -> None:
        """Raise Invalid if a change breaks a rule about other records, which the database cannot enforce."""

    def _change_row(
        self, record_id: str, changes: dict[str, Any], if_match: Sequence[int] | None, lease_token: str | None
    ) -> Row | None:
        """Change a record, or raise why it is not allowed. None if there is none.

        On PostgreSQL, another transaction may change the record after the statement did not: then it runs once more.
        """
        with rules_named(self.model), writes.transaction():
            key, guards = self._is(record_id), [*self._unchanged(if_match), *self._allowed(changes, lease_token)]
            assignments = [writes.touched(utc_now()), *self._assignments(changes, lease_token)]
            for _ in range(TRIES):
                row = writes.update(self.model, assignments, [key, *guards])
                if row is not None:
                    return row
                row, is_allowed = writes.check(self.model, key, guards)
                if not is_allowed:
                    break
        if row is None:
            return None
        self._require_version(row, if_match)
        raise self._refusal(rows.record(self.model, row), changes, lease_token)

    def _update(self, *arguments: Any) -> R | None:
        """The same as update_row(), with the record."""
        row = self.update_row(*arguments)
        return None if row is None else rows.record(self.model, row)

    def _assignments(self, changes: dict[str, Any], lease_token: str | None) -> list[Clause]:
        """The changes and what follows from them."""
        return [writes.assign(self.model, name, value) for name, value in self._implied(changes).items()]

    def _is(self, record_id: str) -> Clause:
        return f"{self.key.column_name} = ?", (record_id,)

    def _unchanged(self, versions: Sequence[int] | None) -> list[Clause]:
        return [] if versions is None else [writes.is_one_of("updated_at", versions)]

    def _require_version(self, row: Row, versions: Sequence[int] | None) -> None:
        """Raise Stale if the version of the row is none of these; None: any version will do."""
        if versions is not None and rows.version(self.model, row) not in versions:
            raise self._stale(row[rows.key(self.model)])

    def _stale(self, record_id: str) -> Stale:
        return Stale(f"{self.name} {record_id} changed since it was read: read it again")

    def _allowed(self, changes: dict[str, Any], lease_token: str | None) -> list[Clause]:
        """The conditions that these changes need, in addition to the rules of the database."""
        return []

    def _implied(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields and what follows from them."""
        return fields

    def _refusal(self, record: Any, changes: dict[str, Any], lease_token: str | None) -> LedgerError:
        """The error if the record did not meet _allowed()."""
        return Conflict(f"{self.name} {record.record_id} does not allow this change")

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Column names and values; a foreign key may be passed as job_id, job or a record."""
        columns = self.model._meta.combined
        unknown = [name for name in fields if name not in columns]
        if unknown:
            raise Invalid(f"{self.name} has no field {', '.join(unknown)}", unknown[0])
        return {columns[name].name: value for name, value in fields.items()}


def fingerprint(fields: dict[str, Any]) -> str:
    """SHA-256 of the fields of a request, so that the same request twice makes one record. Raises NotJson."""
    plain = json.loads(dump(fields, default=str), parse_float=_shortest)
    text = json.dumps(plain, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _shortest(digits: str) -> float | int:
    """30.0 becomes 30, because JSON has only one kind of number."""
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


@cache
def _select_by_id(model: Any, columns: str, param: str) -> str:
    """The statement built once: building it costs ten times what running it does."""
    key = model._meta.primary_key.column_name
    return f'SELECT {columns} FROM {model._meta.table_name} WHERE "{key}" = {param}'


def children_by_parent(model: Any, parent: str, ids: Iterable[str]) -> dict[str, list[Any]]:
    """The children of several records by the id of their parent, oldest first, in one statement."""
    children = child_rows(model, parent, list(ids))
    return {parent_id: [rows.record(model, row) for row in siblings] for parent_id, siblings in children.items()}


def child_rows(model: Any, parent: str, ids: Sequence[str]) -> dict[str, list[Row]]:
    """The rows of these children by the id of their parent, oldest first."""
    place = rows.place(model, parent)
    children: dict[str, list[Row]] = {}
    if ids:
        select = _select_where_in(model, model._meta.fields[parent].column_name, len(ids))
        order = f'ORDER BY "created_at", "{model._meta.primary_key.column_name}"'
        for row in database.execute_sql(f"{select} {order}", ids).fetchall():
            children.setdefault(row[place], []).append(row)
    return children


def _select_where_in(model: Any, column: str, count: int) -> str:
    places = ", ".join([database.param] * count)
    return f'SELECT {rows.columns(model)} FROM {model._meta.table_name} WHERE "{column}" IN ({places})'
