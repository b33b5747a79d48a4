"""The tally: the numbers of jobs and loops by status, and of tracks, which triggers keep exact for every writer."""

from contextlib import suppress

from peewee import DatabaseError

from database import database, is_postgresql

ROWS = 1000  # with more rows, PostgreSQL's tally is folded
MANY_ROWS = 20_000  # with more, whoever reads the tally folds it, because no process has done housekeeping


def tally(entity: str) -> dict[str, int]:
    """The numbers of 'job' or 'loop' by status; of 'track' under ''. A status without records may be missing."""
    numbers = f"SELECT status, sum(number), count(*) FROM tally WHERE entity = {database.param} GROUP BY status"
    read = database.execute_sql(numbers, (entity,)).fetchall()
    if sum(rows for _, _, rows in read) > MANY_ROWS and not database.in_transaction():
        with suppress(DatabaseError):
            fold_tally()
    return {status: int(number) for status, number, _ in read}


def fold_tally() -> None:
    """Replace the rows of PostgreSQL's tally by one row for each number, if there are many.

    It is one statement: every reader sees the rows from before or from after it. No writer waits for it. Two processes
    may fold at once: each row is deleted and added up by one of them.
    """
    if not is_postgresql():
        return
    (rows,) = database.execute_sql(f"SELECT count(*) FROM (SELECT 1 FROM tally LIMIT {ROWS + 1}) AS counted").fetchone()
    if rows > ROWS:
        database.execute_sql(
            """WITH folded AS (DELETE FROM tally RETURNING entity, status, number)
            INSERT INTO tally (entity, status, number)
            SELECT entity, status, sum(number) FROM folded GROUP BY entity, status"""
        )
