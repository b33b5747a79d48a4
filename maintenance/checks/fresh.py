"""Compares the schema with the one that the migrations make in a new database.

For SQLite, the new database is in memory. For PostgreSQL, it is a schema in a transaction that is rolled back.
"""

from collections.abc import Iterator
from typing import Any

from peewee import Database
from playhouse.cysqlite_ext import CySqliteDatabase
from playhouse.migrations import Runner

from database import HISTORY, MIGRATIONS, database, is_postgresql
from errors import DatabaseUnusable

FRESH = "ledger_fresh"  # a schema that exists only inside of a transaction
Objects = dict[tuple[str, str], str]  # the SQL by (kind, name)
SQLITE_OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
POSTGRESQL_OBJECTS = """
    SELECT 'trigger', tgname, pg_get_triggerdef(pg_trigger.oid) || tgenabled::text FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND relnamespace = {schema}::regnamespace
    UNION ALL SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = {schema}::regnamespace AND prokind = 'f'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = {schema}
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = {schema}::regnamespace"""


def differences() -> Iterator[tuple[str, str, bool]]:
    """(kind, name, True if it is missing or False if it differs) for the objects of a new database."""
    fresh, current = _of_postgresql() if is_postgresql() else _of_sqlite()
    for (kind, name), sql in fresh.items():
        if current.get((kind, name)) != sql:
            yield kind, name, (kind, name) not in current


def _of_sqlite() -> tuple[Objects, Objects]:
    fresh = CySqliteDatabase(":memory:", rank_functions=False)
    try:
        Runner(fresh, str(MIGRATIONS), HISTORY).up()
        return _sqlite_objects(fresh), _sqlite_objects(database.obj)
    finally:
        fresh.close()


def _of_postgresql() -> tuple[Objects, Objects]:
    [(schema,)] = database.execute_sql("SELECT current_schema()").fetchall()
    _require_right()
    with database.atomic() as transaction:
        current = _postgresql_objects(schema)
        database.execute_sql(f"CREATE SCHEMA {FRESH}")
        database.execute_sql(f"SET LOCAL search_path TO {FRESH}")
        Runner(database.obj, str(MIGRATIONS), HISTORY, schema=FRESH).up()
        fresh = _postgresql_objects(FRESH)
        transaction.rollback()
    return fresh, current


def _require_right() -> None:
    """Raise DatabaseUnusable if this role may not create a schema."""
    query = "SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE')"
    [(role, name, may_create)] = database.execute_sql(query).fetchall()
    if not may_create:
        raise DatabaseUnusable(
            f'the schema of a new database is made beside it, and removed again: GRANT CREATE ON DATABASE "{name}" '
            f'TO "{role}"'
        )


def _sqlite_objects(opened: Database) -> Objects:
    return {(kind, name): _plain(sql) for kind, name, sql in opened.execute_sql(SQLITE_OBJECTS).fetchall()}


def _postgresql_objects(schema: str) -> Objects:
    rows: Any = database.execute_sql(POSTGRESQL_OBJECTS.format(schema=f"'{schema}'")).fetchall()
    return {(kind, name): _plain(sql).replace(f"{schema}.", "") for kind, name, sql in rows}


def _plain(sql: str) -> str:
    """SQL with one space between words."""
    return " ".join(sql.split())
