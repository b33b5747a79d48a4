"""Migrations of a test's own: a folder with those of the program and more, and what a database looks like."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from database import MIGRATIONS, database, is_postgresql
from database.library_index import with_replaced

TABLES = ("job", "track", "loop", "event", "tally", "schema_migration")
PARTS = {  # of the schema: every table, index and trigger
    False: "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
    True: """SELECT 'column', table_name || '.' || column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) || tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2, 3""",
}


def folder_with(folder: Path, scripts: dict[str, str]) -> Path:
    """A folder with the migrations of this program and these, whose text is by name."""
    target = folder / "migrations"
    shutil.copytree(MIGRATIONS, target, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in scripts.items():
        (target / f"{name}.py").write_text(text)
    return target


def snapshot() -> list[Any]:
    """The whole schema and all rows of the bound database."""
    parts = read(PARTS[is_postgresql()])
    return [parts, *(sorted(read(f"SELECT * FROM {table}"), key=str) for table in TABLES)]


def read(query: str, *values: Any) -> Sequence[Any]:
    """The rows of a query with ? for values."""
    return list(map(list, database.execute_sql(query.replace("?", database.param), values).fetchall()))


def drop_seam_columns() -> None:
    """Give the bound database the schema that it had before the migration 0003_seams, and keep its rows."""
    drop_columns("0003_seams", "loop", ["candidate", "exact", '"end"', "start"])


def drop_take_columns() -> None:
    """Give the bound database the schema that it had before the migration 0004_takes, and keep its rows."""
    drop_columns("0004_takes", "job", ["takes", "seed"])
    drop_columns("0004_takes", "track", ["provenance", "take", "seed"])


def drop_title_columns() -> None:
    """Give the bound database the schema that it had before the migration 0006_titles, and keep its rows."""
    drop_library()
    database.execute_sql("DROP INDEX track_starred")
    drop_columns("0006_titles", "track", ["starred", "title"])


def drop_library() -> None:
    """Give the bound database the schema that it had before the migration 0009_library_index."""
    database.execute_sql("DELETE FROM schema_migration WHERE name = '0009_library_index'")
    parts = read(PARTS[is_postgresql()])
    for kind, name, sql in parts:
        if kind == "trigger" and "library" in name:
            table = "job" if name.startswith("job") else "track"
            database.execute_sql(f"DROP TRIGGER {name}{f' ON {table}' if is_postgresql() else ''}")
        elif name in ("track_duration", "track_job_duration", "track_name", "track_job_name", "track_seed"):
            database.execute_sql(f"DROP INDEX {name}")
        elif name == "job_replaced":
            database.execute_sql("DROP TRIGGER job_replaced")
            database.execute_sql(without_library(sql))
    for table in ("library_track", "library_job") if is_postgresql() else ("library_search", "library_stale"):
        database.execute_sql(f"DROP TABLE {table}")
    if not is_postgresql():
        return
    for function in ("library_words", "library_fold", "track_library", "job_library"):
        database.execute_sql(f"DROP FUNCTION {function}")


def without_library(trigger: str) -> str:
    """The trigger job_replaced as it was before the migration."""
    added = with_replaced("BEGIN ").removeprefix("BEGIN ")
    assert added in trigger
    return trigger.replace(added, "", 1)


def drop_columns(migration: str, table: str, columns: list[str]) -> None:
    """Undo a migration that has added these columns to a table, the last one first; and that of the library."""
    if database.table_exists("library_track" if is_postgresql() else "library_search"):
        drop_library()
    database.execute_sql(f"DELETE FROM schema_migration WHERE name = '{migration}'")
    for name in (f"{table}_event" if is_postgresql() else f"{table}_updated", f"{table}_touched"):
        query = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = ?"
        [[text]] = read(query if is_postgresql() else "SELECT sql FROM sqlite_schema WHERE name = ?", name)
        database.execute_sql(f"DROP TRIGGER {name} {f'ON {table}' if is_postgresql() else ''}")
        database.execute_sql(text.replace(f"{', '.join(columns)}, ", "", 1))
    for stored in (table, f"moving_{table}", f"discarded_{table}"):
        for column in columns if database.table_exists(stored) else ():
            database.execute_sql(f"ALTER TABLE {stored} DROP COLUMN {column}")
