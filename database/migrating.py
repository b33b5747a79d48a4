"""Applies migrations: each with its row of the history in one transaction. If one fails, nothing has changed."""

import ast
from collections import Counter
from pathlib import Path
from typing import Any

from database.connection import database, is_postgresql
from errors import MigrationFailed

# How long a statement waits for the lock of a table, on PostgreSQL. All readers wait behind it meanwhile.
LOCK_SECONDS = 10
LOCKED = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


def apply_migrations(folder: Path, history: str, names: list[str]) -> None:
    """Apply these migrations of a folder in this order. history: the table with the names of the applied ones.

    Each has a transaction of its own, so those before a failed or killed one stay. Foreign keys are off meanwhile on
    SQLite: otherwise dropping the old table would delete its children. SQLite ignores the switch inside a transaction,
    so none may be open. Raises MigrationFailed, and the errors of the database if it cannot be locked or written.
    """
    from playhouse.migrations import Runner  # the import takes 60 ms, and only an old schema needs it

    if database.in_transaction():
        raise MigrationFailed("The schema cannot be changed inside of a transaction: end it, then start again.")
    runner = Runner(database.obj, str(folder), history)
    runner.History.create_table()
    migrations = {migration.name: migration for migration in runner.migrations()}
    for name in names:
        with runner.migrator.migration_context():
            _apply(runner, migrations[name])


def purpose(script: Path) -> str:
    """What a migration does: the first line of its docstring; '' without one."""
    return (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _apply(runner: Any, migration: Any) -> None:
    """Apply a migration and write its row. Any error undoes both, because the caller has begun a transaction."""
    before = _orphans()
    if is_postgresql():
        database.execute_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    try:
        migration.load().up(runner.migrator, database.obj)
        runner.History.create(name=migration.name)
    except Exception as error:
        raise _failure(migration.name, error) from error
    if orphans := _orphans() - before:
        children = ", ".join(f"{number} rows of {table}" for table, number in orphans.items())
        raise _failure(migration.name, f"{children} would lose their parent")


def _orphans() -> Counter[str]:
    """The number of rows by table whose parent does not exist, on SQLite. PostgreSQL itself checks every statement."""
    if is_postgresql():
        return Counter()
    return Counter(table for table, *_ in database.execute_sql("PRAGMA foreign_key_check").fetchall())


def _failure(name: str, reason: Exception | str) -> MigrationFailed:
    """The error for a migration that is undone now."""
    if getattr(getattr(reason, "orig", None), "sqlstate", None) in LOCKED:
        return MigrationFailed(
            f"The migration {name} has to wait for another program that uses the same tables. It has changed nothing: "
            "end that program or its transaction, then start again."
        )
    text = " ".join(str(reason).split()) or repr(reason)
    return MigrationFailed(
        f"The migration {name} failed ({text}). It has changed nothing: "
        "start the version of this program that you had before, and report the error."
    )
