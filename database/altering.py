"""Steps for migrations: add a column, rebuild a table of SQLite, and change many rows without events.

Call them in a migration only: it runs in one transaction, in which SQLite's foreign keys are off.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from peewee import Database, PostgresqlDatabase

from database.ledger.postgresql import PostgreSQL
from database.ledger.sqlite import SQLite
from database.ledger.tables import Dialect

# The triggers that fire for changes of certain columns: the one that writes events, and the one that sets updated_at.
EVENTS = {False: "{}_updated", True: "{}_event"}  # by whether the database is PostgreSQL
TOUCHED = "{}_touched"
# The tables with copies of rows: of an unfinished move, in an archive; and of what was deleted and can still come back.
COPIES = ("moving_{}", "discarded_{}")


def dialect_of(db: Database) -> Dialect:
    """The types and rules of this database, such as dialect.integer and dialect.flag("track", "starred")."""
    return PostgreSQL() if isinstance(db, PostgresqlDatabase) else SQLite()


def add_column(db: Database, table: str, definition: str, is_shown: bool = True) -> None:
    """Add a column to job, track or loop. definition: the column as SQL; its name is the first word.

    A change of the column moves updated_at, and is an event if responses show the column (is_shown). Rows that exist
    get the default. That is no event, and updated_at stays. Tables with copies of its rows get the column too.
    """
    for name in (table, *(copy.format(table) for copy in COPIES)):
        if db.table_exists(name):
            db.execute_sql(f"ALTER TABLE {name} ADD COLUMN {definition}")
    column = definition.split()[0]
    for trigger in [TOUCHED, *([EVENTS[isinstance(db, PostgresqlDatabase)]] if is_shown else [])]:
        replace_trigger(db, table, trigger.format(table), lambda sql: _with_column(sql, column))


def rebuild_table(db: Database, table: str, change: Callable[[str], str]) -> None:
    """Give a table of SQLite another definition, and keep its rows, children, indexes, triggers and rowids.

    change: gets the CREATE TABLE statement, and returns the new one. Columns that both have are copied. PostgreSQL
    does not need this: use ALTER TABLE there. Raises ValueError if foreign keys are on: the children would be deleted.
    """
    if _value(db, "PRAGMA foreign_keys"):
        raise ValueError("a table can be rebuilt in a migration only, because there foreign keys are off")
    draft, belongings = f"new_{table}", _texts(db, "tbl_name = ? AND type IN ('index', 'trigger')", table)
    [created] = _texts(db, "name = ? AND type = 'table'", table)
    before = _columns(db, table)
    db.execute_sql(re.sub(rf'^CREATE TABLE "?{table}"?', f"CREATE TABLE {draft}", change(created), count=1))
    implicit = [] if "WITHOUT ROWID" in created else ["rowid"]
    columns = ", ".join(dict.fromkeys([*implicit, *(name for name in _columns(db, draft) if name in before)]))
    db.execute_sql(f"INSERT INTO {draft} ({columns}) SELECT {columns} FROM {table}")
    _copy_sequence(db, table, draft)
    db.execute_sql(f"DROP TABLE {table}")
    db.execute_sql("PRAGMA legacy_alter_table = 1")  # triggers of other tables name a table that is missing now
    db.execute_sql(f"ALTER TABLE {draft} RENAME TO {table}")
    db.execute_sql("PRAGMA legacy_alter_table = 0")
    for statement in belongings:
        db.execute_sql(statement)


@contextmanager
def quietly(db: Database, table: str) -> Iterator[None]:
    """A block in which changes of job, track or loop write no events and leave updated_at as it is.

    Do not insert or delete rows in it, and do not change status, attempts, prompt or metadata: the tally and the
    search index need the triggers.
    """
    if isinstance(db, PostgresqlDatabase):
        db.execute_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        db.execute_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    triggers = db.execute_sql("SELECT name, sql FROM sqlite_schema WHERE tbl_name = ? AND type = 'trigger'", (table,))
    statements = dict(triggers.fetchall())
    for name in statements:
        db.execute_sql(f"DROP TRIGGER {name}")
    yield
    for statement in statements.values():
        db.execute_sql(statement)


def replace_trigger(db: Database, table: str, name: str, change: Callable[[str], str]) -> None:
    """Make a trigger again with a changed definition."""
    if isinstance(db, PostgresqlDatabase):
        query = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s"
        definition, drop = _value(db, query, table, name), f"DROP TRIGGER {name} ON {table}"
    else:
        definition, drop = _texts(db, "name = ? AND type = 'trigger'", name)[0], f"DROP TRIGGER {name}"
    db.execute_sql(drop)
    db.execute_sql(change(definition))


def _with_column(trigger: str, column: str) -> str:
    """The definition of a trigger that also fires when this column changes."""
    return trigger.replace("UPDATE OF ", f"UPDATE OF {column}, ", 1)


def _copy_sequence(db: Database, table: str, draft: str) -> None:
    """Let the draft count its rowids on from those of the table, so that no deleted rowid is used again."""
    if "AUTOINCREMENT" in _texts(db, "name = ? AND type = 'table'", table)[0]:
        db.execute_sql("DELETE FROM sqlite_sequence WHERE name = ?", (draft,))
        sequence = "SELECT ?, seq FROM sqlite_sequence WHERE name = ?"
        db.execute_sql(f"INSERT INTO sqlite_sequence (name, seq) {sequence}", (draft, table))


def _columns(db: Database, table: str) -> list[str]:
    return [name for (name,) in db.execute_sql("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()]


def _texts(db: Database, where: str, name: str) -> list[str]:
    """The SQL of parts of SQLite's schema, in the order in which they were made."""
    query = f"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND {where} ORDER BY rowid"
    return [text for (text,) in db.execute_sql(query, (name,)).fetchall()]


def _value(db: Database, query: str, *values: Any) -> Any:
    return db.execute_sql(query, values).fetchone()[0]
