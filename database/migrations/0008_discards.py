"""Adds the tables of deleted tracks and loops that can still come back, and the takes of a job that were discarded."""

from peewee import Database, PostgresqlDatabase

from database.altering import add_column, dialect_of

STATES = "'waiting', 'undone', 'expired'"
COPIED = ("track", "loop")
ALL_TAKES = 2**32 - 1  # a bit for each take


def up(migrator: object, db: Database) -> None:
    """Create the tables. A discard is no record: it has no events, and exports and archives leave it out."""
    dialect = dialect_of(db)
    db.execute_sql(f"""CREATE TABLE discard (
        discard_id TEXT NOT NULL PRIMARY KEY,
        job_id TEXT,
        state TEXT NOT NULL CONSTRAINT discard_state CHECK (state IN ({STATES})),
        tracks {dialect.integer} NOT NULL,
        loops {dialect.integer} NOT NULL,
        bytes {dialect.integer} NOT NULL,
        {dialect.moment("discard", "created_at", "NOT NULL")},
        {dialect.moment("discard", "expires_at", "NOT NULL")}) {dialect.ending}""")
    for table in COPIED:
        owner = "discard_id TEXT NOT NULL REFERENCES discard (discard_id) ON DELETE CASCADE"
        db.execute_sql(f"CREATE TABLE discarded_{table} ({owner}, {_columns(db, table)}) {dialect.ending}")
        db.execute_sql(f"CREATE INDEX discarded_{table}_discard ON discarded_{table} (discard_id)")
    # Another job may have the same id later: tracks come back only into the job that they were deleted from.
    db.execute_sql(f"ALTER TABLE discarded_track ADD COLUMN job_created_at {dialect.integer}")
    rule = f"CONSTRAINT job_discarded_takes CHECK (discarded_takes BETWEEN 0 AND {ALL_TAKES})"
    add_column(db, "job", f"discarded_takes {dialect.integer} NOT NULL DEFAULT 0 {rule}", is_shown=False)


def _columns(db: Database, table: str) -> str:
    """The columns of a table without its rules: the rows have met them."""
    if isinstance(db, PostgresqlDatabase):
        return f"LIKE {table}"
    return ", ".join(
        f'"{name}" {kind}'
        for name, kind in db.execute_sql("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
    )
