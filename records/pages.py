"""Pages: parts of lists. Writes the SQL of a page without Peewee, if the conditions are plain.

Peewee needs 150-300 µs to build the SQL of a page. The database needs 70 µs to run it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import Expression

from database import database, is_postgresql
from records import rows
from records.rows import Row

Key = tuple[str, int, int]  # the id of a record, its version, and the value by which the list is sorted


@dataclass(frozen=True)
class Page:
    """The part of a list that a caller wants: the sort field, the direction, and where the part begins."""

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


def key_columns(model: Any, sort: str) -> str:
    """The columns of a Key, for SELECT."""
    key, by = model._meta.primary_key.column_name, model._meta.fields[sort].column_name
    return f'"{key}", "updated_at" AS "version", "{by}"'


def keys_of(model: Any, sort: str, read: Iterable[Row]) -> list[Key]:
    """The keys of these rows."""
    key, version, by = rows.key(model), rows.place(model, "updated_at"), rows.place(model, sort)
    return [(row[key], row[version], row[by]) for row in read]


def plain_list(model: Any, columns: str, page: Page, where: Sequence[Plain]) -> tuple[str, list[Any]]:
    """The SQL of a list without its order, and its parameters."""
    param, meta = database.param, model._meta
    sort, key = meta.fields[page.sort], meta.primary_key.column_name
    conditions = [condition.text(param) for condition in where]
    values = [value for condition in where for value in condition.values]
    if page.after is not None:
        conditions.append(f'("{sort.column_name}", "{key}") {"<" if page.descending else ">"} ({param}, {param})')
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
    order = f'"{meta.fields[page.sort].column_name}" {way}, "{meta.primary_key.column_name}" {way}'
    return f"ORDER BY {order} LIMIT {database.param} OFFSET {database.param}"
