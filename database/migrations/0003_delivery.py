"""The outbox of webhooks: a row for each job and loop that ends, written in the transaction that ends it."""

from collections.abc import Iterator

from peewee import Database, PostgresqlDatabase

FINAL = {"job": "'completed', 'failed', 'cancelled'", "loop": "'COMPLETED', 'FAILED', 'CANCELLED'"}
COPIED = "event_id, entity, entity_id, job_id, change, data, created_at"
INSERT = f"INSERT INTO delivery ({COPIED}, due_at) SELECT {COPIED}, created_at FROM event WHERE event_id ="


def up(migrator: object, db: Database) -> None:
    """Create it; the runner wraps it in one transaction."""
    for statement in postgresql() if isinstance(db, PostgresqlDatabase) else sqlite(db):
        db.execute_sql(statement)


def table(integer: str, json: str, webhook_id: str, ending: str = "") -> Iterator[str]:
    """A copy of the event, since events may be forgotten sooner; the id is of one database alone, whoever receives."""
    yield f"""CREATE TABLE delivery (
        event_id {integer} NOT NULL PRIMARY KEY,
        entity TEXT NOT NULL,
        entity_id TEXT NOT NULL,
        job_id TEXT NOT NULL,
        change TEXT NOT NULL,
        data {json} NOT NULL,
        created_at {integer} NOT NULL,
        webhook_id TEXT NOT NULL DEFAULT ({webhook_id}),
        attempts {integer} NOT NULL DEFAULT 0,
        due_at {integer} NOT NULL) {ending}"""
    yield "CREATE INDEX delivery_due ON delivery (due_at)"


def sqlite(db: Database) -> Iterator[str]:
    """What writes the event goes on to write the delivery: the order of two triggers would not be certain."""
    yield from table("INTEGER", "TEXT", "'msg_' || lower(hex(randomblob(16)))", "STRICT")
    for entity, final in FINAL.items():
        for change, has_ended in (("created", "TRUE"), ("updated", "OLD.status <> NEW.status")):
            found = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?"
            trigger = db.execute_sql(found, (f"{entity}_{change}",)).fetchone()[0]
            ours = f"last_insert_rowid() AND entity_id = NEW.{entity}_id AND {has_ended} AND NEW.status IN ({final})"
            yield f"DROP TRIGGER {entity}_{change}"
            yield f"{trigger.removesuffix('END')} {INSERT} {ours}; END"


def postgresql() -> Iterator[str]:
    """Triggers run in the order of their names: job_final after job_event, loop_final after loop_event."""
    yield from table("BIGINT", "JSONB", "'msg_' || replace(gen_random_uuid()::text, '-', '')")
    event = f"{INSERT} currval(pg_get_serial_sequence('event', 'event_id'));"
    body = f"IF TG_OP = 'INSERT' OR OLD.status <> NEW.status THEN {event} END IF; RETURN NULL;"
    yield f"CREATE FUNCTION ledger_final() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    for entity, final in FINAL.items():
        yield f"""CREATE TRIGGER {entity}_final AFTER INSERT OR UPDATE OF status ON {entity}
            FOR EACH ROW WHEN (NEW.status IN ({final})) EXECUTE FUNCTION ledger_final()"""
