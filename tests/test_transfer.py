"""Export and import: one file for both databases, all or nothing, and no event or webhook of its own."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database import database, release
from errors import Busy, Invalid
from maintenance import housekeeping
from maintenance.transfer import exporting
from models import Delivery, Event, Job, Loop, Track, utc_now
from records.commits import newest
from records.tally import tally
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.conftest import Bind, matching_ids, on_postgresql, on_sqlite, thorough
from tests.ledgers import another, changed, counts, exported, fill, import_bytes, live, parse

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()


@pytest.fixture(scope="module")
def file(template: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An export of a ledger with everything in it."""
    another(template, tmp_path_factory.mktemp("source"))
    fill(7)
    live()
    data = exported()
    release()
    return data


@on_sqlite
def test_exports_are_equal_after_sqlite_postgresql_sqlite(ledger: Settings, bind_empty: Bind) -> None:
    fill(thorough(10_000, 1_500))
    live()
    first = exported()
    bind_empty("postgresql")
    import_bytes(first)
    second = exported()
    bind_empty("sqlite")
    import_bytes(second)
    assert first == second == exported() and len(first) > 1_000_000


def test_an_import_keeps_every_value_and_every_event(ledger: Settings, file: bytes) -> None:
    numbers = import_bytes(file)
    assert exported() == file
    assert numbers["added"] == len(file.splitlines()) - 2
    assert Job.get_by_id("leased").lease_token and Job.get_by_id("done").fingerprint


def test_an_import_keeps_the_tally_and_the_search(ledger: Settings, file: bytes) -> None:
    import_bytes(file)
    statuses = [job.status for job in Job.select()]
    assert {status: number for status, number in tally("job").items() if number} == {
        status: statuses.count(status) for status in statuses
    }
    assert tally("track") == {"": Track.select().count()} and matching_ids("елка 3") == ["Job_3"]


def test_importing_a_file_again_changes_nothing(ledger: Settings, file: bytes) -> None:
    import_bytes(file)
    Delivery.delete().execute()  # all webhooks have been sent
    assert import_bytes(file) == {"added": 0, "changed": 0, "deleted": 0, "unchanged": sum(counts().values())}
    assert exported().splitlines()[:-1] == [line for line in file.splitlines()[:-1] if b'"delivery"' not in line]


def test_events_that_were_deleted_here_do_not_come_back(ledger: Settings, file: bytes) -> None:
    import_bytes(file)
    before = newest()[0]
    Event.delete().where(Event.event_id <= 10).execute()
    assert import_bytes(file)["added"] == 0
    assert Event.select().where(Event.event_id <= 10).count() == 0 and newest() == (before, 10)


def test_new_events_come_after_those_of_the_file(ledger: Settings, file: bytes) -> None:
    import_bytes(file)
    highest = parse(file)[0]["newest_event"]
    jobs.create(job_id="new", prompt="p")
    assert Event.get(Event.entity_id == "new").event_id == newest()[0] > highest


def test_ids_of_deleted_events_are_not_used_again(ledger: Settings, file: bytes, bind_empty: Bind, kind: str) -> None:
    import_bytes(file)
    highest, _ = newest()
    Event.delete().execute()
    without_events = exported()
    bind_empty(kind)
    import_bytes(without_events)
    assert newest() == (0, highest)
    jobs.create(job_id="new", prompt="p")
    assert newest()[0] > highest


def test_a_client_goes_on_with_its_last_event_after_a_move(client: Any, file: bytes) -> None:
    import_bytes(file)
    last = parse(file)[0]["newest_event"]
    jobs.create(job_id="new", prompt="p")
    answer = client.get("/api/events", headers={"Last-Event-ID": str(last - 1)}, buffered=False)
    blocks = (chunk for chunk in answer.iter_encoded() if b"data:" in chunk)
    text = next(blocks).decode()
    answer.close()
    assert f"id: {last}" in text and "resync" not in text


def test_a_lease_moves_and_housekeeping_ends_it(ledger: Settings, file: bytes) -> None:
    import_bytes(file)
    job = Job.get_by_id("leased")
    assert (job.status, job.worker) == ("loading_model", "worker-1") and job.lease_expires_at
    [lost] = jobs.requeue_expired(utc_now() + timedelta(hours=1))
    assert (lost.job_id, lost.status) == ("leased", "pending")


WRONG_LINES: list[tuple[int, dict[str, Any], str]] = [
    (1, {"program": "another"}, "Line 1: it must be the header"),
    (1, {"format": 2}, "Line 1: .*another version"),
    (1, {"schema": "9999_future"}, "Line 1: .*another version"),
    (1, {"since": 5}, "Line 1: the header must have"),
    (1, {"newest_event": 10**30}, "Line 1: pruned_event and newest_event must be from 0"),
    (1, {"newest_event": 2**53}, "Line 1: pruned_event and newest_event must"),
    (1, {"newest_event": -1}, "Line 1: pruned_event and newest_event"),
    (1, {"pruned_event": 2**52}, "Line 1: pruned_event and newest"),
    (1, {"pruned_event": -1}, "Line 1: pruned_event and"),
    (2, {"progress": 101}, "Line 2: progress must be an integer from 0 to 100"),
    (2, {"progress": "5"}, "Line 2: progress must be a whole number"),
    (2, {"progress": 2**63}, "Line 2: progress must be a whole number"),
    (2, {"status": "unheard"}, "Line 2: status must be"),
    (3, {"job_id": "a b"}, "Line 3: job_id must be 1 to 64"),
    (3, {"job_id": "Job_1"}, "the id Job_1 is in the file twice"),
    (2, {"prompt": "a\0b"}, "Line 2: prompt must be a text without U"),
    (2, {"created_at": "yesterday"}, "Line 2: created_at must be a time such as"),
    (2, {"created_at": None}, "Line 2: created_at must be a time"),
    (2, {"metadata": []}, "Line 2: metadata must be a JSON object"),
    (2, {"cancel_requested": 1}, "Line 2: cancel_requested must be true or false"),
    (2, {"colour": 1}, "Line 2: colour is no field"),
    (2, {"prompt": ...}, "Line 2: it has no prompt"),
    (2, {"kind": "song"}, "Line 2: its kind is 'song'"),
    (2, {"kind": "track"}, "Line 2: it has no"),
]


@pytest.mark.parametrize(("number", "fields", "sentence"), WRONG_LINES, ids=[rule for *_, rule in WRONG_LINES])
def test_a_wrong_line_is_named_and_nothing_is_imported(
    ledger: Settings, file: bytes, number: int, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        import_bytes(changed(file, number, **fields))
    assert counts() == {"job": 0, "track": 0, "loop": 0, "event": 0} and newest() == (0, 0)


@pytest.mark.parametrize("field", ["job_id", "track_id", "event_id"])
def test_a_line_that_only_the_database_refuses_is_named(ledger: Settings, file: bytes, field: str) -> None:
    kind = {"job_id": "track", "track_id": "loop", "event_id": "event"}[field]
    number = [line["kind"] for line in parse(file)].index(kind) + 3
    wrong = {"change": "sung"} if kind == "event" else {field: "nobody"}
    with pytest.raises(Invalid, match=f"Line {number}: {'change' if kind == 'event' else field} must"):
        import_bytes(changed(file, number, **wrong))
    assert counts()["job"] == 0


@pytest.mark.parametrize("kind_of_line", ["event", "delivery"])
@pytest.mark.parametrize("event_id", [0, -1, 2**53, 2**63 - 1])
def test_an_event_id_that_leaves_no_room_for_new_ones_is_refused(
    ledger: Settings, file: bytes, kind_of_line: str, event_id: int
) -> None:
    number = [line["kind"] for line in parse(file)].index(kind_of_line) + 1
    with pytest.raises(Invalid, match=f"Line {number}: event_id must be from 1 to"):
        import_bytes(changed(file, number, event_id=event_id))
    assert counts()["job"] == 0 and newest() == (0, 0)


@pytest.mark.parametrize(
    ("cut", "sentence"),
    [
        (lambda lines: lines[:-1], "has no trailer"),
        (lambda lines: [*lines[:-2], lines[-1]], "lines are missing"),
        (lambda lines: [*lines, lines[-2]], "the trailer must be the last line"),
        (lambda lines: [*lines[:-1], lines[-1][:-9]], "is no JSON"),
        (lambda lines: [lines[0], *lines[-3:0:-1]], "must come before"),
        (lambda lines: [b"[1, 2]\n"], "must be a JSON object"),
        (lambda lines: [], "is no JSON"),
    ],
)
def test_an_incomplete_file_is_refused(
    ledger: Settings, file: bytes, cut: Callable[[list[bytes]], list[bytes]], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        import_bytes(b"".join(cut(file.splitlines(keepends=True))))
    assert sum(counts().values()) == 0


def test_an_id_that_has_another_record_here_is_refused(ledger: Settings, file: bytes) -> None:
    jobs.create(job_id="Job_2", prompt="another")
    before = exported()
    with pytest.raises(Invalid, match="job Job_2 exists here and differs"):
        import_bytes(file)
    assert exported() == before


@on_sqlite
def test_odd_rows_are_exported_and_every_database_can_import_them(ledger: Settings, bind_empty: Bind) -> None:
    live()
    for value in (r"""metadata = '{"a\u0000":"\ud800","b":1e999}'""", "message = CAST(X'6869FF' AS TEXT)"):
        database.execute_sql(f"UPDATE job SET {value} WHERE job_id = 'done'")
    database.execute_sql("UPDATE job SET prompt = 'a' || char(0) || 'b', lease_seconds = 9e999")
    database.execute_sql("UPDATE delivery SET data = 'no json', due_at = 1 << 62")
    file = exported()
    bind_empty("postgresql")
    import_bytes(file)
    job = Job.get_by_id("done")
    assert (job.metadata, job.message, job.prompt) == ({"a\ufffd": "\ufffd", "b": None}, "hi\ufffd", "a\ufffdb")
    assert exported() == file


def test_an_export_is_one_moment_and_holds_up_no_writer(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    live()
    before, written = exported(), []
    header = exporting._header

    def write_then_header(since: int | None) -> Any:
        made = header(since)
        writer = threading.Thread(target=lambda: written.append(jobs.create(job_id="late", prompt="p")))
        writer.start()
        writer.join(20)
        return made

    monkeypatch.setattr(exporting, "_header", write_then_header)
    assert exported() == before and written and jobs.get_by_id("late")


def test_a_field_that_an_older_schema_lacks_has_its_default(ledger: Settings, file: bytes) -> None:
    lines, later = [json.loads(line) for line in file.splitlines()], ("priority", "analysis", "takes", "provenance")
    lines[0]["schema"] = "0000_earlier"
    older = [{name: value for name, value in line.items() if name not in later} for line in lines]
    import_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in older))
    assert {(job.priority, job.takes) for job in Job.select()} == {(0, 1)}
    assert Track.get_by_id("done-1").provenance == {} and Loop.get_by_id("done-1-a").analysis == {}
    assert counts()["event"] == Event.select().count() > 30


@on_postgresql
def test_an_import_gives_up_while_a_writer_is_busy_and_the_writer_goes_on(ledger: Settings, file: bytes) -> None:
    with psycopg.connect(ledger.database_url) as writer:
        writer.execute("INSERT INTO job (job_id) VALUES ('busy')")
        with pytest.raises(Busy, match="stop the service"):
            import_bytes(file)
        writer.execute("INSERT INTO track (track_id, job_id) VALUES ('busy-1', 'busy')")
    assert counts() == {"job": 1, "track": 1, "loop": 0, "event": 2}


def test_housekeeping_and_workers_go_on_after_an_import(app: Any, file: bytes) -> None:
    import_bytes(file)
    housekeeping.Housekeeping(app.extensions["ledger"].storage, app.extensions["ledger"].stopping).run()
    assert jobs.claim("w").job_id.startswith("Job_")
    assert jobs.delete("Job_1") and Loop.get_or_none(Loop.loop_id == "loop.1") is None
