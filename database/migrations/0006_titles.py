"""Adds the title and the star to tracks. Old tracks have no title and no star."""

from peewee import Database

from database.altering import add_column, dialect_of

LONGEST_TITLE = 200  # characters


def up(migrator: object, db: Database) -> None:
    """Add the columns, and an index of the tracks that have a star."""
    rule = f"length(title) <= {LONGEST_TITLE} AND length(trim(title)) > 0"
    add_column(db, "track", f"title TEXT CONSTRAINT track_title CHECK ({rule})")
    add_column(db, "track", dialect_of(db).flag("track", "starred"))
    db.execute_sql("CREATE INDEX track_starred ON track (created_at, track_id) WHERE starred")
