"""What a live feed of events needs to know: how far they are pruned."""

from collections.abc import Iterator

from peewee import Database, PostgresqlDatabase


def up(migrator: object, db: Database) -> None:
    """Create it; the runner wraps it in one transaction."""
    for statement in postgresql() if isinstance(db, PostgresqlDatabase) else sqlite():
        db.execute_sql(statement)


def sqlite() -> Iterator[str]:
    """The highest event_id that was ever deleted: who has seen less may have missed something."""
    yield """CREATE TABLE pruned (
        one INTEGER PRIMARY KEY CONSTRAINT pruned_one CHECK (one = 1),
        event_id INTEGER NOT NULL) STRICT"""
    yield "INSERT INTO pruned (one, event_id) VALUES (1, 0)"
    yield """CREATE TRIGGER event_pruned AFTER DELETE ON event BEGIN
        UPDATE pruned SET event_id = OLD.event_id WHERE event_id < OLD.event_id; END"""


def postgresql() -> Iterator[str]:
    """The same, told by the statement rather than by the row."""
    yield """CREATE TABLE pruned (
        one BIGINT PRIMARY KEY CONSTRAINT pruned_one CHECK (one = 1),
        event_id BIGINT NOT NULL)"""
    yield "INSERT INTO pruned (one, event_id) VALUES (1, 0)"
    newest = "SELECT max(event_id) FROM gone"
    yield f"""CREATE FUNCTION event_pruned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE pruned SET event_id = ({newest}) WHERE event_id < ({newest}); RETURN NULL; END $$"""
    yield """CREATE TRIGGER event_pruned AFTER DELETE ON event REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION event_pruned()"""
