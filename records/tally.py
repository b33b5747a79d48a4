"""The tally: the number of jobs and of loops in each status, and of tracks. Triggers keep it exact for all writers.

It also counts for jobs and loops the attempts that have begun (ATTEMPTS), and the leases that have expired (EXPIRIES).
"""

from contextlib import suppress

from peewee import DatabaseError

from database import database, is_postgresql

ATTEMPTS, EXPIRIES = "attempt", "expiry"  # entities of the tally; their status is job or loop
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


def add_to_tally(entity: str, status: str, number: int) -> None:
    """Add a number, in the transaction of the caller."""
    if is_postgresql():
        sql = "INSERT INTO tally (number, entity, status) VALUES (%s, %s, %s)"
    else:
        sql = "UPDATE tally SET number = number + ? WHERE entity = ? AND status = ?"
    database.execute_sql(sql, (number, entity, status))


def fold_tally() -> None:
    """Replace many rows of PostgreSQL's tally by one row for each number.

    It is one statement, so a reader sees either all old rows or all new rows. No writer waits for it. Several processes
    may fold at the same time: only one of them deletes a row and adds it to a sum.
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
