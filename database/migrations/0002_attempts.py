"""The tally counts the attempts that have begun and the leases that have expired, for /metrics."""

from peewee import Database, PostgresqlDatabase

KINDS = ("job", "loop")


def up(migrator: object, db: Database) -> None:
    """Add the numbers, which begin at 0, and the triggers that count attempts. records/tally.py counts the leases."""
    for kind in KINDS:
        for statement in postgresql(kind) if isinstance(db, PostgresqlDatabase) else sqlite(kind):
            db.execute_sql(statement)


def sqlite(kind: str) -> list[str]:
    """The rows of the numbers and the trigger, for SQLite."""
    return [
        f"INSERT INTO tally (entity, status, number) VALUES ('attempt', '{kind}', 0), ('expiry', '{kind}', 0)",
        f"""CREATE TRIGGER {kind}_attempted AFTER UPDATE OF attempts ON {kind} WHEN NEW.attempts > OLD.attempts
        BEGIN UPDATE tally SET number = number + NEW.attempts - OLD.attempts
        WHERE entity = 'attempt' AND status = '{kind}'; END""",
    ]


def postgresql(kind: str) -> list[str]:
    """The trigger for PostgreSQL, which adds a row, so that writers do not wait for each other."""
    body = f"""INSERT INTO tally (entity, status, number) VALUES ('attempt', '{kind}', NEW.attempts - OLD.attempts);
        RETURN NULL;"""
    return [
        f"CREATE FUNCTION {kind}_attempted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"""CREATE TRIGGER {kind}_attempted AFTER UPDATE OF attempts ON {kind}
        FOR EACH ROW WHEN (NEW.attempts > OLD.attempts) EXECUTE FUNCTION {kind}_attempted()""",
    ]
