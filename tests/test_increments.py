"""Increments of `flask export --since`: what has changed, what was deleted, and when they are refused."""

from pathlib import Path
from typing import Any

import pytest

from database import database
from errors import Invalid, Pruned
from files.storage import Storage
from maintenance.legacy.takeover import take_over
from models import Delivery, Event, Job
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import Bind
from tests.ledgers import changed, exported, import_bytes, live, now, parse
from tests.old_service import fill_old

jobs, tracks = JobRepository(), TrackRepository()


def test_an_increment_brings_what_has_changed(ledger: Settings, bind_empty: Bind, kind: str) -> None:
    live()
    base, moment = exported(), now() - 60_000_000  # as far back as the command says
    jobs.update("waiting", prompt="thunder", priority=9)
    tracks.delete("done-1")
    jobs.create(job_id="deleted", prompt="again")
    increment, whole = exported(moment), exported()
    bind_empty(kind)
    import_bytes(base)
    numbers = import_bytes(increment)
    assert exported() == whole and (numbers["changed"], numbers["deleted"]) == (1, 1)
    assert import_bytes(increment)["added"] == 0 and exported() == whole


def test_an_increment_brings_what_was_taken_over(ledger: Settings, bind_empty: Bind, kind: str, tmp_path: Path) -> None:
    live()
    base, moment = exported(), now() - 60_000_000
    fill_old(tmp_path / "old.db", 3)
    take_over(tmp_path / "old.db", Storage(ledger))
    increment, whole = exported(moment), exported()
    bind_empty(kind)
    import_bytes(base)
    assert import_bytes(increment)["changed"] == 0 and exported() == whole
    assert Job.get_by_id("job-0").tracks.count() == 1 and import_bytes(increment)["added"] == 0


def test_an_increment_leaves_later_versions_alone(ledger: Settings) -> None:
    live()
    increment = exported(0)
    jobs.update("waiting", prompt="later")
    tracks.delete("done-1")
    before = exported()
    numbers = import_bytes(increment)
    assert (jobs.get_by_id("waiting").prompt, numbers["changed"]) == ("later", 0)
    assert tracks.get_by_id("done-1") is not None and exported() != before


@pytest.mark.parametrize(
    ("what", "fields", "sentence"),
    [
        ("job", {"prompt": "another"}, "exists here and differs"),
        ("job", {"progress": 101, "updated_at": "2999-01-01T00:00:00Z"}, "progress must be an integer from 0 to 100"),
        ("event", {"change": "deleted"}, "exists here and differs"),
        ("deleted", {"entity": "song"}, "a deletion must have"),
    ],
)
def test_a_wrong_increment_is_refused(ledger: Settings, what: str, fields: dict[str, Any], sentence: str) -> None:
    live()
    increment = exported(0)
    number = [line["kind"] for line in parse(increment)].index(what) + 1
    before = exported()
    with pytest.raises(Invalid, match=f"Line {number}: .*{sentence}"):
        import_bytes(changed(increment, number, **fields))
    assert exported() == before


def test_an_increment_from_before_the_oldest_event_is_refused(ledger: Settings) -> None:
    live()
    moment = now()
    Event.delete().execute()
    with pytest.raises(Pruned, match="export everything"):
        exported(moment - 1_000_000)


def test_an_event_that_an_earlier_export_missed_brings_its_webhook(ledger: Settings) -> None:
    live()
    increment = exported(0)
    last_but_one = Delivery.select().order_by(Delivery.event_id.desc()).offset(1).get().event_id
    for model in (Event, Delivery):
        model.delete().where(model.event_id == last_but_one).execute()
    database.execute_sql("UPDATE pruned SET event_id = 0")
    import_bytes(increment)
    assert Delivery.get_by_id(last_but_one) and exported(0) == increment
