"""Workers announce themselves: what the table says of those that run, that stop, that are killed, that are lost."""

import signal
import subprocess
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from database import database, release
from maintenance.housekeeping import Housekeeping, Storage
from models import Event, Worker, utc_now
from records import workers
from records.offers import offers, why_not_made
from settings import Settings
from studio.announcement import announced, process_name
from tests.conftest import wait_for
from tests.workers import worker_process

Start = Callable[..., "subprocess.Popen[bytes]"]
ABLE, UNABLE = {"can_start": True, "problems": []}, {"can_start": False, "problems": ["there is no program x"]}


@pytest.fixture
def start(ledger: Settings, request: pytest.FixtureRequest) -> Start:
    """Starts workers as processes, and returns when they have announced themselves; kills them afterwards."""
    ledger.storage_dir.mkdir()

    def start_one(**environment: str) -> subprocess.Popen[bytes]:
        process = worker_process(ledger, **environment)
        request.addfinalizer(lambda: (process.kill(), process.wait(10)))
        wait_for(
            lambda: names() & {f":{process.pid}"}, 20, lambda: (ledger.storage_dir.parent / "worker.log").read_text()
        )
        return process

    return start_one


def names() -> set[str]:
    """The process ids at the end of the names of the workers that run."""
    return {worker.name[worker.name.rindex(":") :] for worker in workers.live()}


def announce(name: str, seconds: float = 0, **generators: Any) -> None:
    """Write the row of a worker that was last seen some seconds ago."""
    workers.announce(name, "box", utc_now(), generators)
    Worker.update(seen_at=Worker.seen_at - int(seconds * 1_000_000)).where(Worker.name == name).execute()


def test_two_workers_say_what_they_can_make(start: Start, tmp_path: Path) -> None:
    recipes = tmp_path / "generators.toml"
    recipes.write_text('[opera]\ncommand = ["no-such-program"]\n')
    start()
    start(GENERATORS=str(recipes))
    first, second = (worker.generators for worker in Worker.select().order_by(Worker.started_at))
    assert first.keys() == {"synth", "diffrhythm"} and first["diffrhythm"]["can_start"]
    assert second.keys() == {*first, "opera"} and "no program" in second["opera"]["problems"][0]
    assert Event.select().count() == 0


def test_a_worker_that_stops_takes_its_row_along(start: Start) -> None:
    first, second = start(), start()
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert names() == {f":{second.pid}"} and Worker.select().count() == 1


def test_the_row_of_a_killed_worker_is_ignored_after_a_minute_and_deleted_later(start: Start, ledger: Settings) -> None:
    killed = start()
    killed.kill()
    killed.wait(10)
    assert names() == {f":{killed.pid}"}
    Worker.update(seen_at=Worker.seen_at - 61_000_000).execute()
    assert workers.live() == [] and Worker.select().count() == 1
    Worker.update(seen_at=Worker.seen_at - 3_600_000_000).execute()
    Housekeeping(Storage(ledger), threading.Event()).run()
    assert Worker.select().count() == 0


def test_a_row_from_the_future_is_no_live_worker(ledger: Settings) -> None:
    announce("a:1", seconds=-61)
    announce("b:2", seconds=59)
    assert [worker.name for worker in workers.live()] == ["b:2"]
    Worker.update(seen_at=Worker.seen_at + 7_200_000_000).execute()
    workers.forget_lost()
    assert Worker.select().count() == 0


def test_a_row_that_was_deleted_is_written_again(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.announcement.SECONDS", 0.02)
    stopping = threading.Event()
    with announced(ledger, True, stopping):
        [worker] = workers.live()
        workers.withdraw(worker.name)
        [again] = wait_for(workers.live, 30)
        stopping.set()
    assert (again.name, again.started_at) == (process_name(), worker.started_at)
    assert workers.live() == []


def test_a_database_that_is_away_does_not_disturb_a_worker(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    with database.atomic():
        database.execute_sql("ALTER TABLE worker RENAME TO gone")
    with announced(ledger, True, stopping):
        stopping.set()
    with database.atomic():
        database.execute_sql("ALTER TABLE gone RENAME TO worker")
    release()
    assert workers.live() == []


def test_one_indexed_statement_reads_the_workers(ledger: Settings, statements: list[str], kind: str) -> None:
    workers.live()
    (query,) = statements
    explain = "EXPLAIN QUERY PLAN " if kind == "sqlite" else "EXPLAIN "
    with database.atomic():
        if kind == "postgresql":
            database.execute_sql("SET LOCAL enable_seqscan = off")
        plan = str(database.execute_sql(explain + query).fetchall())
    assert "worker_seen_at" in plan


def test_a_type_that_a_worker_elsewhere_makes_is_possible(ledger: Settings) -> None:
    sentence = (
        "no worker here has a generator for opera. There are: synth. Correct the job_type, or add a table [opera]"
    )
    assert str(why_not_made(ledger, "opera", workers.live())).startswith(sentence)
    announce("far:1", opera=UNABLE)
    assert why_not_made(ledger, "opera", workers.live()) == (
        "the generator for opera cannot start: far:1: there is no program x"
    )
    announce("near:2", opera=ABLE)
    assert why_not_made(ledger, "opera", workers.live()) is None
    assert "DIFFRHYTHM_COMMAND" in str(why_not_made(ledger, "diffrhythm", workers.live()))


def test_without_workers_of_its_own_only_those_that_run_count(ledger: Settings) -> None:
    web_alone = ledger.model_copy(update={"workers": 0})
    assert why_not_made(web_alone, "synth", workers.live()) is None
    announce("far:1", opera=ABLE)
    assert "generator for synth. There are: opera. Correct" in str(why_not_made(web_alone, "synth", workers.live()))
    assert why_not_made(ledger, "synth", workers.live()) is None


def test_an_offer_names_the_workers_that_can_start_it(ledger: Settings) -> None:
    announce("a:1", synth=UNABLE, opera=ABLE)
    announce("b:2", synth=UNABLE)
    opera, synth = offers(ledger, workers.live())
    assert (opera["job_type"], opera["can_start"], opera["workers"]) == ("opera", True, ["a:1"])
    assert (synth["can_start"], synth["workers"], len(synth["problems"])) == (False, [], 2)
    announce("a:1", synth=ABLE)
    assert [(offer["can_start"], offer["workers"]) for offer in offers(ledger, workers.live())] == [(True, ["a:1"])]
    assert timedelta(0) <= utc_now() - Worker.get_by_id("a:1").seen_at < timedelta(minutes=1)
