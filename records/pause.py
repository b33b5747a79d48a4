"""Pauses the queue of jobs for all workers of all machines. Loops are made also while it is paused."""

from database import database
from records import writes

IS_PAUSED = "EXISTS (SELECT 1 FROM queue_state WHERE paused)"  # the SQL of a condition


def is_paused() -> bool:
    """True if no worker may claim a job now."""
    (paused,) = database.execute_sql(f"SELECT {IS_PAUSED}").fetchone()
    return bool(paused)


def set_paused(paused: bool) -> None:
    """Pause the queue, or let it go on. Jobs that run are finished. A change is an event, `queue.updated`."""
    with writes.transaction():
        update = "UPDATE queue_state SET paused = ? WHERE paused <> ?"
        database.execute_sql(writes.placed(update), (paused, paused))
