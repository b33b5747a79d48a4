"""Indexes for what is looked up besides: which jobs a worker can make, and which records name a file."""

from collections.abc import Iterator

from peewee import Database, PostgresqlDatabase


def up(migrator: object, db: Database) -> None:
    """Create them; the runner wraps it in one transaction."""
    for statement in statements("USING hash" if isinstance(db, PostgresqlDatabase) else ""):
        db.execute_sql(statement)


def statements(by_name: str) -> Iterator[str]:
    """A path may be longer than a PostgreSQL B-tree takes."""
    yield "CREATE INDEX job_makeable ON job (status, job_type)"
    yield f"CREATE INDEX track_wav ON track {by_name} (file_path_wav)"
    yield f"CREATE INDEX track_mp3 ON track {by_name} (file_path_mp3)"
    yield f"CREATE INDEX loop_result ON loop {by_name} (result_path)"
