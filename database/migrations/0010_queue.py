"""Adds the state of the queue, the place of a job that was moved in it, and the index that forecasts read."""

from peewee import Database, PostgresqlDatabase

from database.altering import add_column, dialect_of, rebuild_table
from database.queue import DIGITS, INDEXES, indexes

ENTITIES, WITH_QUEUE = "('job', 'track', 'loop')", "('job', 'track', 'loop', 'queue')"
ON_SQLITE = f"place NOT GLOB '*[^0-9]*' AND length(place) >= {DIGITS}"
EVENT = "INSERT INTO event (entity, entity_id, job_id, change, data) VALUES ('queue', 'jobs', '', 'updated', {});"


def up(migrator: object, db: Database) -> None:
    """Create the table with its one row, and the trigger that writes its events. Sort the pending jobs by place."""
    dialect = dialect_of(db)
    db.execute_sql(f"""CREATE TABLE queue_state (
        one {dialect.integer} NOT NULL PRIMARY KEY CONSTRAINT queue_state_one CHECK (one = 1),
        {dialect.flag("queue_state", "paused")}) {dialect.ending}""")
    db.execute_sql("INSERT INTO queue_state (one) VALUES (1)")
    if isinstance(db, PostgresqlDatabase):
        _on_postgresql(db)
    else:
        _on_sqlite(db)
    digits = f"place ~ '^[0-9]{{{DIGITS},}}$'" if isinstance(db, PostgresqlDatabase) else ON_SQLITE
    add_column(db, "job", f"place TEXT CONSTRAINT job_place CHECK ({digits})")
    for statement in (*(f"DROP INDEX {name}" for name in INDEXES), *indexes()):
        db.execute_sql(statement)


def _on_postgresql(db: Database) -> None:
    rule = "CONSTRAINT event_entity"
    db.execute_sql(f"ALTER TABLE event DROP {rule}, ADD {rule} CHECK (entity IN {WITH_QUEUE})")
    event = EVENT.format("jsonb_build_object('paused', NEW.paused)")
    db.execute_sql(f"""CREATE FUNCTION queue_state_event() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN {event} RETURN NULL; END $$""")
    db.execute_sql("""CREATE TRIGGER queue_state_event AFTER UPDATE OF paused ON queue_state FOR EACH ROW
        WHEN (OLD.paused <> NEW.paused) EXECUTE FUNCTION queue_state_event()""")


def _on_sqlite(db: Database) -> None:
    rebuild_table(db, "event", lambda sql: sql.replace(ENTITIES, WITH_QUEUE))
    event = EVENT.format("json_object('paused', json(CASE NEW.paused WHEN 1 THEN 'true' ELSE 'false' END))")
    db.execute_sql(f"""CREATE TRIGGER queue_state_event AFTER UPDATE OF paused ON queue_state
        WHEN OLD.paused <> NEW.paused BEGIN {event} END""")
