"""The workers that run: each process has a row that it renews, with what it can make.

All times come from the clock of the database. If that clock is set, a worker counts as lost until it renews its row.
"""

from datetime import datetime
from typing import Any

from peewee import Expression

from database import database
from database.clock import database_now
from models import Worker

LIVE_SECONDS = 60.0  # a worker that has not renewed its row for so long is lost
KEPT_SECONDS = 3600.0


def announce(name: str, host: str, started_at: datetime, generators: dict[str, Any]) -> None:
    """Write or renew the row of a worker process. generators: the description of each of its recipes, by job_type."""
    fields = {"host": host, "generators": generators, "started_at": started_at, "seen_at": database_now()}
    preserved = [Worker.host, Worker.generators, Worker.started_at, Worker.seen_at]
    with database.atomic():
        row = Worker.insert(name=name, **fields)
        row.on_conflict(conflict_target=[Worker.name], preserve=preserved).execute()


def withdraw(name: str) -> None:
    """Delete the row of a worker process that ends."""
    with database.atomic():
        Worker.delete().where(Worker.name == name).execute()


def live() -> list[Worker]:
    """The worker processes that run, sorted by name."""
    return list(Worker.select().where(_is_seen_within(LIVE_SECONDS)).order_by(Worker.name))


def forget_lost() -> None:
    """Delete the rows of workers that are lost for an hour. One that still runs writes its row again."""
    lost = ~_is_seen_within(KEPT_SECONDS)
    if Worker.select().where(lost).exists():
        with database.atomic():
            Worker.delete().where(lost).execute()


def _is_seen_within(seconds: float) -> Expression:
    """A row from the future was written before the clock was set back: its worker is lost, or renews it soon."""
    seen_at: Any = Worker.seen_at
    is_seen: Expression = seen_at.between(database_now(-seconds), database_now(seconds))
    return is_seen
