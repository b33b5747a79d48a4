"""The verbs all records share: create, read, list, change and delete, one statement where one will do."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar, cast

from peewee import Expression, Field, Tuple

from database import database
from database.hints import leave_few_rows, unindexed
from database.json_text import dump
from database.refusals import rules_named
from database.statements import records_of, update_where, values_of, writing
from errors import Conflict, Invalid, LedgerError, Stale
from models import Record, utc_now
from records.session import Session

R = TypeVar("R", bound=Record)


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
        model: Any = self.model
        records = list(model.raw(_select_by_id(model, database.param), record_id))
        return records[0] if records else None

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
        with rules_named(self.model):
            record = self.model(**row, fingerprint=fingerprint(fields))
            insert = self.model.insert(record.__data__).on_conflict("nothing", conflict_target=(self.key,))
            with database.atomic():
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
        field = self.model._meta.fields[page.sort]
        sort = unindexed(field, 0) if leave_few_rows(where) else field
        query = self._where(self.model.select(), where)
        if page.after is not None:
            here, there = Tuple(sort, self.key), Tuple(field.db_value(page.after[0]), page.after[1])
            query = query.where(here < there if page.descending else here > there)
        order = [by.desc() if page.descending else by.asc() for by in (sort, self.key)]
        return query.order_by(*order).limit(page.limit).offset(page.offset or None)

    def _where(self, query: Any, conditions: Iterable[Expression]) -> Any:
        conditions = tuple(conditions)
        return query.where(*conditions) if conditions else query

    def _update(
        self, record_id: str, changes: dict[str, Any], if_match: Sequence[int] | None, lease_token: str | None = None
    ) -> R | None:
        """The record as it is after the change; None when there is none. One statement decides and changes.

        Raises Invalid, MissingParent, WrongStatus, LeaseLost, and Stale when its version is none of if_match.
        """
        row = self._row(changes)
        with rules_named(self.model), writing():
            changed = self._change(record_id, row, if_match, lease_token) if row else []
            record = changed[0] if changed else self.get_by_id(record_id)
        if record is None or changed:
            return record
        if if_match is not None and record.version not in if_match:
            raise Stale(f"{self.name} {record_id} changed since it was read: read it again")
        if row:
            raise self._refusal(record, row, lease_token)
        return record

    def _change(
        self, record_id: str, row: dict[str, Any], if_match: Sequence[int] | None, lease_token: str | None
    ) -> list[R]:
        """Change the record if every guard allows it. Returns it in a list, or [].

        The SQL depends on which fields change, not on their values, except for the status.
        """
        versions = {f"version_{number}": version for number, version in enumerate(if_match or ())}
        matches = f"updated_at IN ({', '.join(f':{name}' for name in versions)})" if versions else "1 = 0"
        guards = [f"{self.key.name} = :id", *self._allowed(row, lease_token)]
        guards += [] if if_match is None else [matches]
        row = self._implied(row, lease_token)
        update = update_where(self.model, tuple(self._assigned(row, lease_token).items()), tuple(guards))
        values = values_of(self.model, row)
        return records_of(self.model, update.write(id=record_id, token=lease_token, **versions, **values))

    def _assigned(self, row: dict[str, Any], lease_token: str | None) -> dict[str, str]:
        """The new value of each column, as SQL with the name of its field as the name of the value."""
        fields = self.model._meta.fields
        return {fields[name].column_name: f":{name}" for name in row}

    def _unchanged(self, versions: Sequence[int] | None) -> list[Expression]:
        updated_at: Any = self.model._meta.fields["updated_at"]
        return [] if versions is None else [updated_at.in_(list(versions))]

    def _allowed(self, row: dict[str, Any], lease_token: str | None) -> list[str]:
        """What must hold for these changes, besides the rules the database keeps: conditions as SQL."""
        return []

    def _implied(self, row: dict[str, Any], lease_token: str | None = None) -> dict[str, Any]:
        """The changes and what follows from them."""
        return row

    def _refusal(self, record: Any, row: dict[str, Any], lease_token: str | None) -> LedgerError:
        """Why _allowed() did not hold for this record."""
        return Conflict(f"{self.name} {record.record_id} does not allow this change")

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Column names and values; a foreign key may be given as job_id, job or a record."""
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
    """30.0 is 30: JSON knows one kind of number."""
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


@cache
def _select_by_id(model: Any, param: str) -> str:
    """The statement built once: building it costs ten times what running it does."""
    statement, _ = model.select().where(model._meta.primary_key == param).sql()
    return str(statement)


def children_by_parent(model: Any, parent: str, ids: Iterable[str]) -> dict[str, list[Any]]:
    """The children of several records by the id of their parent, oldest first, in one statement."""
    field = model._meta.fields[parent]
    children: dict[str, list[Any]] = {}
    for child in model.select().where(field.in_(list(ids))).order_by(model.created_at, model._meta.primary_key):
        children.setdefault(child.__data__[parent], []).append(child)
    return children
