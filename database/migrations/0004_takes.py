"""Adds seeds and takes to jobs, and the seed, the take and the provenance to tracks. Old jobs have one take."""

from peewee import Database

from database.altering import add_column, dialect_of

LARGEST_SEED = 2**32 - 1
MOST_TAKES = 32


def up(migrator: object, db: Database) -> None:
    """Add the columns. Of old records, nobody knows the seed: it is NULL."""
    dialect = dialect_of(db)
    for table in ("job", "track"):
        rule = f"CONSTRAINT {table}_seed CHECK (seed BETWEEN 0 AND {LARGEST_SEED})"
        add_column(db, table, f"seed {dialect.integer} {rule}")
    takes = f"CONSTRAINT job_takes CHECK (takes BETWEEN 1 AND {MOST_TAKES})"
    add_column(db, "job", f"takes {dialect.integer} NOT NULL DEFAULT 1 {takes}")
    take = f"CONSTRAINT track_take CHECK (take BETWEEN 1 AND {MOST_TAKES})"
    add_column(db, "track", f"take {dialect.integer} {take}")
    add_column(db, "track", dialect.object("track", "provenance"))
