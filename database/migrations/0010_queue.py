"""Adds the state of the queue of jobs: whether it is paused. A change of it is an event."""

from peewee import Database, PostgresqlDatabase

from database.altering import dialect_of, rebuild_table

ENTITIES, WITH_QUEUE = "('job', 'track', 'loop')", "('job', 'track', 'loop', 'queue')"
EVENT = "INSERT INTO event (entity, entity_id, job_id, change, data) VALUES ('queue', 'jobs', '', 'updated', {});"


def up(migrator: object, db: Database) -> None:
    """Create the table with its one row, and the trigger that writes the events. It is no record: see 0008_discards."""
    dialect = dialect_of(db)
    db.execute_sql(f"""CREATE TABLE queue_state (
        one {dialect.integer} NOT NULL PRIMARY KEY CONSTRAINT queue_state_one CHECK (one = 1),
        {dialect.flag("queue_state", "paused")}) {dialect.ending}""")
    db.execute_sql("INSERT INTO queue_state (one) VALUES (1)")
    if isinstance(db, PostgresqlDatabase):
        _on_postgresql(db)
    else:
        _on_sqlite(db)


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
