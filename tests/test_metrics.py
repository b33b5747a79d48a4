"""GET /metrics: each figure moves when the thing that it names happens, and the names follow Prometheus."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from peewee import OperationalError
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from database import database, release
from models import Job, Track, utc_now
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.conftest import wait_for
from tests.service import UNMEASURED, Server, web_workers

jobs, loops, tracks = JobRepository(), LoopRepository(), TrackRepository()
Figures = dict[str, float]


def parsed(text: str) -> Figures:
    """The figures of an answer, by name and labels as Prometheus writes them."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        f"{one.name}{','.join(f'{key}={value}' for key, value in one.labels.items())}": one.value for one in samples
    }


def figures(client: FlaskClient) -> Figures:
    """The figures now."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


def figures_of(running: Server) -> Figures:
    """The figures of a running server."""
    status, text = running.call("GET", "/metrics")
    assert status == 200
    return parsed(text.decode())


def moved(client: FlaskClient, act: Callable[[], Any]) -> Figures:
    """By how much each figure moves while act() runs; without those that stay, and without those of the process."""
    before = figures(client)
    act()
    after = figures(client)
    changes = {name: after[name] - before.get(name, 0) for name in after}
    return {
        name: change for name, change in changes.items() if change and not name.startswith(("process_", "ledger_d"))
    }


def test_a_new_job_is_counted_by_its_status(client: FlaskClient) -> None:
    changes = moved(client, lambda: jobs.create(prompt="rain"))
    assert changes.pop("ledger_oldest_pending_secondskind=job") >= 0
    assert changes == {"ledger_jobsstatus=pending": 1}


def test_the_age_is_that_of_the_oldest_pending_record(client: FlaskClient, track: Track) -> None:
    jobs.update("job-1", created_at=utc_now() - timedelta(hours=2))
    loops.create(track_id=track.track_id, duration=60, created_at=utc_now() - timedelta(hours=1))
    now = figures(client)
    assert 7200 <= now["ledger_oldest_pending_secondskind=job"] < 7300
    assert 3600 <= now["ledger_oldest_pending_secondskind=loop"] < 3700


def test_a_claim_is_an_attempt_and_a_lease(client: FlaskClient, job: Job) -> None:
    changes = moved(client, lambda: jobs.claim("worker", 60))
    assert changes["ledger_attempts_totalkind=job"] == 1 == changes["ledger_leaseskind=job"]
    assert changes["ledger_jobsstatus=pending"] == -1


def test_work_that_is_given_back_stays_an_attempt_that_has_begun(client: FlaskClient, job: Job) -> None:
    def claim_and_give_back() -> None:
        claimed = jobs.claim("worker", 60)
        assert claimed is not None
        jobs.release("job-1", str(claimed.lease_token))

    assert moved(client, claim_and_give_back)["ledger_attempts_totalkind=job"] == 1


def test_an_expired_lease_is_counted(client: FlaskClient, job: Job, track: Track) -> None:
    loops.create(track_id=track.track_id, duration=60)

    def lose_both() -> None:
        for repo in (jobs, loops):
            repo.claim("worker", 1)  # type: ignore[attr-defined]
            repo.requeue_expired(utc_now() + timedelta(seconds=2))  # type: ignore[attr-defined]

    changes = moved(client, lose_both)
    assert changes["ledger_lease_expiries_totalkind=job"] == 1 == changes["ledger_lease_expiries_totalkind=loop"]


def test_the_silence_is_that_of_the_worker_that_is_silent_for_longest(client: FlaskClient, job: Job) -> None:
    claimed = jobs.claim("worker", 60)
    assert claimed is not None and figures(client)["ledger_longest_silence_secondskind=job"] < 30
    Job.update(lease_expires_at=utc_now() + timedelta(seconds=10)).execute()
    assert 50 <= figures(client)["ledger_longest_silence_secondskind=job"] < 80


def test_tracks_and_loops_are_counted(client: FlaskClient, job: Job) -> None:
    def make_two() -> None:
        tracks.create(track_id="t", job_id="job-1", duration=3)
        loops.create(track_id="t", duration=60)

    changes = moved(client, make_two)
    assert changes["ledger_tracks"] == 1 == changes["ledger_loopsstatus=PENDING"]


def test_a_webhook_that_waits_is_counted_with_its_age(settings: Settings) -> None:
    secret = {"webhook_url": "http://127.0.0.1:9/", "webhook_secret": f"whsec_{'A' * 32}"}
    app = create_app(settings.model_copy(update=secret))
    jobs.create(job_id="job-1", prompt="p")
    assert moved(app.test_client(), lambda: jobs.update("job-1", status="failed"))["ledger_webhooks_waiting"] == 1
    database.execute_sql(f"UPDATE delivery SET created_at = created_at - {3600 * 1_000_000}")
    assert 3600 <= figures(app.test_client())["ledger_oldest_webhook_seconds"] < 3700
    app.extensions["ledger"].close()
    release()


def test_without_a_webhook_url_no_webhook_waits(client: FlaskClient, job: Job) -> None:
    jobs.update("job-1", status="failed")
    assert figures(client)["ledger_webhooks_waiting"] == 0 == figures(client)["ledger_oldest_webhook_seconds"]


def test_the_files_of_the_database_have_a_size(client: FlaskClient, kind: str, job: Job) -> None:
    size = figures(client)
    names = ["database", "wal"] if kind == "sqlite" else ["database"]
    assert all(size[f"ledger_database_bytesfile={name}"] > 0 for name in names)
    assert size["ledger_disk_free_bytesfolder=storage"] > 0


def test_without_the_database_the_other_figures_are_there(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("away")

    assert figures(client)["ledger_database_up"] == 1
    monkeypatch.setattr(database.obj, "execute_sql", fail)
    now = figures(client)
    assert now["ledger_database_up"] == 0 and "ledger_tracks" not in now
    assert now["ledger_disk_free_bytesfolder=storage"] > 0


def test_the_token_guards_the_figures(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"api_token": "secret"}))
    client = app.test_client()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200
    app.extensions["ledger"].close()


def test_the_cost_does_not_grow_with_the_tables(client: FlaskClient, statements: list[str], job: Job) -> None:
    figures(client)
    statements.clear()
    figures(client)
    assert 5 < len(statements) < 25
    plain = [sql for sql in statements if "count(*)" in sql.lower()]
    assert all("LIMIT" in sql or "lease_expires_at > 0" in sql or "tally" in sql for sql in plain)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_names_and_types_follow_the_conventions(client: FlaskClient, job: Job) -> None:
    text = client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families) > 20 and all(family.documentation for family in families.values())
    assert [name for name in families if not re.fullmatch("(ledger|process)_[a-z_]+", name)] == []
    assert [name for name in families if re.search("_(ms|milliseconds|kb|mb|minutes|count)$", name)] == []
    promtool = shutil.which("promtool")
    if promtool:
        subprocess.run([promtool, "check", "metrics"], input=text, text=True, check=True)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_client_may_ask_for_openmetrics(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text") and answer.text.endswith("# EOF\n")


def test_requests_are_counted_by_method_route_and_status(server: Callable[..., Server]) -> None:
    running = server().start()
    assert running.call("POST", "/api/jobs", {"job_id": "a", "prompt": "rain"})[0] == 201
    for path in ("/api/jobs/a", "/api/jobs/b", "/api/jobs/%00", "/wp-admin", "/api/jobs/a"):
        running.call("GET", path)
    now = figures_of(running)
    name = "ledger_http_requests_totalmethod={},route={},status={}"
    counted = {name.format("POST", "/api/jobs", 201): 1, name.format("GET", "/api/jobs/{job_id}", 200): 2}
    counted |= {name.format("GET", "/api/jobs/{job_id}", 404): 1, name.format("GET", "other", 404): 2}
    assert {key: now.get(key) for key in counted} == counted
    assert now["ledger_http_request_seconds_countmethod=GET,route=/api/jobs/{job_id}"] == 3
    assert 0 < now["ledger_http_request_seconds_summethod=GET,route=/api/jobs/{job_id}"] < 60


def test_all_web_processes_count_together_and_go_on_after_a_kill(server: Callable[..., Server]) -> None:
    running = server(WEB_PROCESSES="2", **UNMEASURED).start()
    name = "ledger_http_requests_totalmethod=GET,route=/healthz,status=200"
    for _ in range(30):
        running.call("GET", "/healthz")
    least = 30
    wait_for(lambda: figures_of(running)[name] >= least, 30)
    web_workers(running)[0].kill()
    wait_for(lambda: figures_of(running).get("ledger_process_restarts_totalkind=web") == 1, 30)
    wait_for(lambda: figures_of(running)["ledger_processes_runningkind=web"] == 2, 30)
    assert figures_of(running)[name] >= least


def test_streams_and_waits_that_are_open_are_counted(server: Callable[..., Server]) -> None:
    running = server().start()
    running.call("POST", "/api/jobs", {"job_id": "a", "prompt": "rain"})
    opened = []
    for head in ("GET /api/events HTTP/1.1\r\n", "GET /api/jobs/a HTTP/1.1\r\nPrefer: wait=30\r\n"):
        opened.append(socket.create_connection(("127.0.0.1", running.port)))
        opened[-1].sendall(f"{head}Host: localhost\r\n\r\n".encode())

    def numbers() -> list[float]:
        now = figures_of(running)
        return [now[f"ledger_open_{kind}"] for kind in ("streams", "waits")]

    wait_for(lambda: numbers() == [1, 1], 30)
    for one in opened:
        one.close()
    wait_for(lambda: numbers() == [0, 0], 30)
