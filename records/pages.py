"""Pages: parts of lists. Writes the SQL of a page without Peewee, if the conditions are plain.

Peewee needs 150-300 µs to build the SQL of a page. The database needs 70 µs to run it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import Expression

from database import database, is_postgresql
from database.library import sorted_duration, sorted_name
from models import Track
from records import rows
from records.rows import Row

Key = tuple[str, int, Any]  # the id of a record, its version, and its place: the value by which the list is sorted


@dataclass(frozen=True)
class Page:
    """The part of a list that a caller wants: the sort field, the direction, and where the part begins.

    after: the place and the id of the record before. The place of a track by title is in bytes.
    """

    sort: str = "created_at"
    descending: bool = True
    limit: int = 50
    offset: int = 0
    after: tuple[Any, str] | None = None


class Plain(Expression):
    """A condition that compares one column with values. It can write its own SQL, and Peewee can use it, too."""

    def __init__(self, field: Any, operator: str, value: Any) -> None:
        super().__init__(field, operator, value)
        self.column, self.operator = field.column_name, operator
        self.values = tuple(map(field.db_value, value if isinstance(value, tuple) else (value,)))
        self.has_many = isinstance(value, tuple)

    def text(self, param: str) -> str:
        """The condition as SQL."""
        if not self.values:
            return "1 = 0"
        places = f"({', '.join([param] * len(self.values))})" if self.has_many else param
        return f'"{self.column}" {self.operator} {places}'


def is_of_status(condition: Expression) -> bool:
    """True for a plain condition on the status."""
    return isinstance(condition, Plain) and condition.column == "status"


def sorted_by(model: Any, sort: str, table: str = "") -> str:
    """The SQL of the value by which a list is sorted. It is never NULL. table: the alias with a dot, or nothing."""
    if model is Track and sort == "title":
        return sorted_name(is_postgresql(), table)
    if model is Track and sort == "duration":
        return sorted_duration(table)
    return f'{table}"{model._meta.fields[sort].column_name}"'


def place_read(model: Any, sort: str, place: str) -> str:
    """The SQL that reads a place. A name is read as bytes: on SQLite, it may be text that Python cannot decode."""
    if model is not Track or sort != "title":
        return place
    return f"convert_to({place}, 'UTF8')" if is_postgresql() else f"CAST({place} AS BLOB)"


def place_compared(model: Any, sort: str, place: Any) -> tuple[str, Any]:
    """(the SQL that stands for such a place in a comparison, its parameter)."""
    if model is not Track or sort != "title":
        return "?", model._meta.fields[sort].db_value(place)
    return "CAST(? AS TEXT)", place.decode("utf-8", "replace").replace("\0", "") if is_postgresql() else place


def key_columns(model: Any, sort: str) -> str:
    """The columns of a Key, for SELECT."""
    place = place_read(model, sort, sorted_by(model, sort))
    return f'"{model._meta.primary_key.column_name}", "updated_at" AS "version", {place}'


def keys_of(model: Any, sort: str, read: Iterable[Row]) -> list[Key]:
    """The keys of these rows, for a list that is sorted by a column."""
    key, version, place = rows.key(model), rows.place(model, "updated_at"), rows.place(model, sort)
    return [(row[key], row[version], row[place]) for row in read]


def plain_list(model: Any, columns: str, page: Page, where: Sequence[Plain]) -> tuple[str, list[Any]]:
    """The SQL of a list without its order, and its parameters."""
    param, meta = database.param, model._meta
    sort, key = meta.fields[page.sort], meta.primary_key.column_name
    conditions = [condition.text(param) for condition in where]
    values = [value for condition in where for value in condition.values]
    if page.after is not None:
        place = f'({sorted_by(model, page.sort)}, "{key}")'
        conditions.append(f"{place} {'<' if page.descending else '>'} ({param}, {param})")
        values += [sort.db_value(page.after[0]), page.after[1]]
    condition = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {columns} FROM {meta.table_name}{condition}", values


def merged(lists: Sequence[str], order: str) -> str:
    """The SQL of several lists together. order: ORDER BY with LIMIT. The database reads each list by an index.

    PostgreSQL does so only if each list has the order and the limit itself; SQLite allows that only to the whole.
    """
    if is_postgresql() and len(lists) > 1:
        lists = [f"({sql} {order})" for sql in lists]
    return f"{' UNION ALL '.join(lists)} {order}"


def in_order(model: Any, page: Page) -> str:
    """The end of the SQL of a page: its order, and placeholders for its limit and its offset."""
    way, meta = "DESC" if page.descending else "ASC", model._meta
    order = f'{sorted_by(model, page.sort)} {way}, "{meta.primary_key.column_name}" {way}'
    return f"ORDER BY {order} LIMIT {database.param} OFFSET {database.param}"
