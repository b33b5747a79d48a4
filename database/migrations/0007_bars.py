"""Lets a loop be ordered by bars in place of seconds, and start inside the part that repeats."""

from peewee import Database, PostgresqlDatabase

from database.altering import add_column, dialect_of, rebuild_table

MOST_BARS = 512
# A loop that is ordered by bars has no duration until it is made. Then its duration is the seconds of the file.
LENGTH = "CONSTRAINT loop_length CHECK (duration IS NOT NULL OR bars IS NOT NULL)"
ALONE = "CONSTRAINT loop_bars_alone CHECK (duration IS NULL OR bars IS NULL OR status = 'COMPLETED')"
NOT_NULL = "duration REAL NOT NULL"
LIMIT = '"end" - start BETWEEN 0.499 AND duration + 0.001'  # of 0003_seams
NEW_LIMIT = '"end" - start >= 0.499 AND (bars IS NOT NULL OR "end" - start <= duration + 0.001)'


def up(migrator: object, db: Database) -> None:
    """Add the columns, and let duration be NULL. Old loops have a duration, and begin where their track begins."""
    dialect = dialect_of(db)
    bars = f"bars {dialect.integer} CONSTRAINT loop_bars CHECK (bars BETWEEN 1 AND {MOST_BARS})"
    add_column(db, "loop", f"{bars} {LENGTH} {ALONE}")
    intro = dialect.flag("loop", "intro", default=True)
    add_column(db, "loop", f"{intro} CONSTRAINT loop_intro_or_fades CHECK (intro OR NOT fade_in_out)")
    if isinstance(db, PostgresqlDatabase):
        db.execute_sql("ALTER TABLE loop ALTER COLUMN duration DROP NOT NULL, DROP CONSTRAINT loop_end")
        db.execute_sql(f'ALTER TABLE loop ADD CONSTRAINT loop_end CHECK ("end" <= 1000000 AND {NEW_LIMIT})')
    else:
        rebuild_table(db, "loop", lambda sql: sql.replace(NOT_NULL, "duration REAL").replace(LIMIT, NEW_LIMIT))
