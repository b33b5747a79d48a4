"""The REST interface: every verb of jobs, tracks and loops, on SQLite and on PostgreSQL."""

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from database import database
from files.storage import Storage
from models import Event, Job, Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()


def ids(answer: Any, key: str = "job_id") -> list[str]:
    """The ids of a list answer."""
    assert answer.status_code == 200, answer.text
    return [item[key] for item in answer.json["items"]]


# --- create


def test_only_the_prompt_is_needed(client: FlaskClient) -> None:
    answer = client.post("/api/jobs", json={"prompt": "rain"})
    body = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == body["urls"]["self"] == f"/api/jobs/{body['job_id']}"
    assert (body["status"], body["progress"], body["job_type"], body["metadata"]) == ("pending", 0, "diffrhythm", {})
    assert body["created_at"].endswith("Z") and len(body["created_at"]) == 27
    assert "lease_token" not in body and "fingerprint" not in body


def test_the_same_body_again_answers_the_job_as_it_is_now(client: FlaskClient) -> None:
    body = {"job_id": "x", "prompt": "rain", "metadata": {"genre": "Ambient"}}
    assert client.post("/api/jobs", json=body).status_code == 201
    client.patch("/api/jobs/x", json={"status": "exporting", "metadata": {}})
    again = client.post("/api/jobs", json=body)
    assert (again.status_code, again.json["status"]) == (200, "exporting")
    other = client.post("/api/jobs", json={**body, "prompt": "snow"})
    assert (other.status_code, other.json["code"]) == (409, "conflict")


def test_tracks_and_loops_are_made_once_too(client: FlaskClient, track: Track) -> None:
    for path, body in [
        ("/api/jobs/job-1/tracks", {"track_id": "t", "duration": 3}),
        ("/api/tracks", {"track_id": "u", "job_id": "job-1"}),
        ("/api/tracks/track-1/loops", {"loop_id": "l", "duration": 60, "fade_in_out": 1}),
        ("/api/loops", {"loop_id": "m", "track_id": "track-1", "duration": 60, "format": "WAV"}),
    ]:
        made = client.post(path, json=body)
        assert (made.status_code, client.post(path, json=body).status_code) == (201, 200)
        assert client.get(made.headers["Location"]).json == made.json
    assert (Track.select().count(), Loop.select().count()) == (3, 2)


def test_children_of_nobody_are_refused(client: FlaskClient) -> None:
    for path, body in [("/api/jobs/nobody/tracks", {}), ("/api/tracks/nobody/loops", {"duration": 9})]:
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
        assert client.get(path).status_code == 404
    answer = client.post("/api/tracks", json={"job_id": "nobody"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "job_id")
    answer = client.post("/api/loops", json={"track_id": "nobody", "duration": 9})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "track_id")
    assert client.get("/api/jobs/nobody/loops").status_code == 404


def test_many_clients_with_one_id_make_one_job(app: Flask) -> None:
    codes: list[int] = []

    def post() -> None:
        codes.append(app.test_client().post("/api/jobs", json={"job_id": "one", "prompt": "p"}).status_code)
        if not database.is_closed():
            database.close()

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] * 7 + [201]
    assert Event.select().count() == 1


# --- read


def test_an_etag_saves_sending_what_the_client_has(client: FlaskClient, job: Job) -> None:
    first = client.get("/api/jobs/job-1")
    etag = first.headers["ETag"]
    again = client.get("/api/jobs/job-1", headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    client.patch("/api/jobs/job-1", json={"progress": 5})
    assert client.get("/api/jobs/job-1", headers={"If-None-Match": etag}).status_code == 200


def test_a_client_with_the_newest_version_costs_one_small_statement(
    client: FlaskClient, job: Job, statements: list[str]
) -> None:
    etag = client.get("/api/jobs/job-1").headers["ETag"]
    assert client.get("/api/jobs/job-1", headers={"If-None-Match": etag}).status_code == 304
    assert len(statements) == 2 and not any("metadata" in sql for sql in statements[1:])
    weak = client.get("/api/jobs/job-1", headers={"If-None-Match": f'"1", W/{etag}'})
    assert (weak.status_code, weak.headers["ETag"]) == (304, etag)
    assert client.get("/api/jobs/nobody", headers={"If-None-Match": etag}).status_code == 404


def test_the_etag_of_an_expanded_job_changes_with_its_children(client: FlaskClient, loop: Loop) -> None:
    url = "/api/jobs/job-1?expand=tracks.loops"
    etag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    loops.update("loop-1", progress=7)
    changed = client.get(url, headers={"If-None-Match": etag})
    assert changed.json["tracks"][0]["loops"][0]["progress"] == 7
    assert client.patch("/api/jobs/job-1", json={}, headers={"If-Match": etag}).status_code == 200


def test_head_answers_as_get_without_the_body(client: FlaskClient, job: Job) -> None:
    for url in ("/api/jobs", "/api/jobs/job-1", "/healthz", "/openapi.json"):
        head, get = client.head(url), client.get(url)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(len(get.data))


def test_every_url_of_a_record_leads_somewhere(client: FlaskClient, loop: Loop) -> None:
    for url in ("/api/jobs/job-1", "/api/tracks/track-1", "/api/loops/loop-1"):
        for name, place in client.get(url).json["urls"].items():
            posted = {"cancel": 200, "retry": 200, "again": 201, "next": 200}.get(name)
            assert client.get(place).status_code == (405 if posted else 404 if name == "reference" else 200), place
            assert not posted or client.post(place).status_code == posted, place


def test_expand_nests_children_in_three_statements(client: FlaskClient, app: Flask) -> None:
    for number in range(60):
        job = jobs.create(prompt=f"job {number}")
        for _ in range(2):
            track = tracks.create(job_id=job.job_id)
            loops.create(track_id=track.track_id, duration=9)
    client.get("/api/jobs?limit=50")  # the JSON of the jobs is kept
    statements: list[str] = []
    database.query_hooks.append(lambda event: statements.append(event.sql))
    items = client.get("/api/jobs?limit=50&expand=tracks.loops").json["items"]
    assert len(statements) <= 3, statements
    assert [len(item["tracks"]) for item in items] == [2] * 50
    assert all(track["loops"][0]["track_id"] == track["track_id"] for item in items for track in item["tracks"])


def test_expand_of_tracks(client: FlaskClient, loop: Loop) -> None:
    assert [item["loop_id"] for item in client.get("/api/tracks/track-1?expand=loops").json["loops"]] == ["loop-1"]
    assert client.get("/api/jobs/job-1/tracks?expand=loops").json["items"][0]["loops"][0]["loop_id"] == "loop-1"
    assert "loops" not in client.get("/api/tracks/track-1").json


def test_a_log_is_read_whole_by_range_and_by_its_tail(client: FlaskClient, app: Flask, job: Job) -> None:
    assert client.get("/api/jobs/job-1/log").data == b""
    log = Storage(app.extensions["ledger"].settings).log("job-1")
    log.parent.mkdir(parents=True)
    log.write_bytes(b"one\ntwo\nthree\n")
    assert client.get("/api/jobs/job-1/log").data == b"one\ntwo\nthree\n"
    assert client.get("/api/jobs/job-1/log?tail=1").data == b"three\n"
    for span, status, part in [("0-2", 206, b"one"), ("-6", 206, b"three\n"), ("99-", 416, None), ("x", 200, None)]:
        answer = client.get("/api/jobs/job-1/log", headers={"Range": f"bytes={span}"})
        assert answer.status_code == status and (part is None or answer.data == part)
    log.unlink()
    log.symlink_to("/etc/hostname")
    assert client.get("/api/jobs/job-1/log").data == b""


# --- lists


@pytest.fixture
def many(app: Flask) -> list[Job]:
    """Six jobs of three genres, two finished."""
    made = []
    for number in range(6):
        metadata = {"genre": ["Folk", "Rock", "民谣"][number % 3], "tempo": 80 + number, "deep": {"live": number == 0}}
        job = jobs.create(job_id=f"m{number}", prompt=f"song {number}", metadata=metadata, priority=number % 2)
        made.append(jobs.update(job.job_id, status="completed") if number < 2 else job)
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "543210"),
        ("sort=created_at", "012345"),
        ("sort=-priority", "531420"),
        ("sort=priority", "024135"),
        ("limit=2", "54"),
        ("limit=2&offset=3", "21"),
        ("status=completed", "10"),
        ("status=completed&status=pending&limit=5", "54321"),
        ("status=failed", ""),
        ("job_type=diffrhythm", "543210"),
        ("job_type=synth", ""),
        ("q=song", "543210"),
        ("q=song%203", "3"),
        ("q=", "543210"),
        ("metadata.genre=Folk", "30"),
        ("metadata.genre=%E6%B0%91%E8%B0%A3", "52"),
        ("metadata.tempo=82", "2"),
        ("metadata.deep.live=true", "0"),
        ("metadata.genre=Folk&metadata.tempo=83&status=pending", "3"),
        ("metadata.unheard.of=1", ""),
        ("created_before=2020-01-01T00:00:00Z", ""),
        ("created_after=2020-01-01T00:00:00.5%2B02:00", "543210"),
    ],
)
def test_lists_are_narrowed_and_sorted(client: FlaskClient, many: list[Job], query: str, expected: str) -> None:
    assert ids(client.get(f"/api/jobs?{query}")) == [f"m{number}" for number in expected]


def test_times_narrow_a_list_from_a_moment_until_before_another(client: FlaskClient, many: list[Job]) -> None:
    after, before = many[2].created_at, many[4].created_at
    query = {"created_after": after.isoformat(), "created_before": before.isoformat()}
    assert ids(client.get("/api/jobs", query_string=query)) == ["m3", "m2"]
    query["created_after"] = (after + timedelta(microseconds=1)).isoformat()
    assert ids(client.get("/api/jobs", query_string=query)) == ["m3"]


def test_a_list_has_a_link_to_its_next_page_and_its_total(client: FlaskClient, many: list[Job]) -> None:
    first = client.get("/api/jobs?limit=4&count=true&metadata.deep.live=false&sort=-created_at")
    assert (first.json["total"], len(first.json["items"])) == (5, 4)
    assert first.headers["Link"] == f'<{first.json["next"]}>; rel="next"'
    second = client.get(first.json["next"])
    assert (ids(second), second.json["next"], "Link" in second.headers) == (["m1"], None, False)
    assert "total" not in client.get("/api/jobs").json


def test_tracks_and_loops_are_listed_by_their_parents(client: FlaskClient, loop: Loop) -> None:
    other = tracks.create(track_id="t2", job_id=jobs.create(prompt="other").job_id, metadata={"artist": "Bo"})
    loops.create(loop_id="l2", track_id="t2", duration=5, format="WAV", status="FAILED")
    assert ids(client.get("/api/tracks"), "track_id") == ["t2", "track-1"]
    assert ids(client.get("/api/tracks?job_id=job-1"), "track_id") == ["track-1"]
    assert ids(client.get("/api/tracks?metadata.artist=Bo"), "track_id") == ["t2"]
    assert ids(client.get("/api/jobs/job-1/tracks"), "track_id") == ["track-1"]
    assert ids(client.get("/api/loops?format=WAV&status=FAILED"), "loop_id") == ["l2"]
    assert ids(client.get("/api/loops?track_id=track-1"), "loop_id") == ["loop-1"]
    assert ids(client.get("/api/tracks/t2/loops"), "loop_id") == ["l2"]
    assert ids(client.get(f"/api/jobs/{other.job_id}/loops"), "loop_id") == ["l2"]


def test_paging_misses_nothing_while_jobs_come_and_go(client: FlaskClient, app: Flask) -> None:
    rows = [{"job_id": f"{number:05}", "prompt": "p"} for number in range(5000)]
    with database.atomic():
        for start in range(0, len(rows), 500):
            Job.insert_many(rows[start : start + 500]).execute()
    seen: list[str] = []
    url, turn = "/api/jobs?limit=200", 0
    while url:
        answer = client.get(url)
        seen += ids(answer)
        turn += 1
        jobs.create(job_id=f"new-{turn}", prompt="p")
        jobs.delete(f"{turn * 7:05}")
        jobs.delete(seen[-1])
        url = answer.json["next"]
    gone = {f"{number * 7:05}" for number in range(1, turn + 1)}
    assert len(seen) == len(set(seen)) and turn == 25
    assert {row["job_id"] for row in rows} - gone <= set(seen)


# --- change


def test_a_patch_changes_what_it_names(client: FlaskClient, job: Job) -> None:
    body = {"metadata": {"mood": "Calm"}, "message": "soon", "priority": 3, "file_manifest": {"wav_path": "/a.wav"}}
    changed = client.patch("/api/jobs/job-1", json=body).json
    assert {key: changed[key] for key in body} == body
    assert changed["prompt"] == job.prompt
    assert client.patch("/api/jobs/job-1", json={"message": None}).json["message"] is None
    assert client.patch("/api/jobs/job-1", json={}).json["priority"] == 3


def test_a_patch_with_an_old_etag_is_refused(client: FlaskClient, job: Job) -> None:
    etag = client.get("/api/jobs/job-1").headers["ETag"]
    assert client.patch("/api/jobs/job-1", json={"progress": 1}, headers={"If-Match": etag}).status_code == 200
    for value in (etag, 'W/"1"', "nonsense", '"1", "2"', '""', '"٣"', '"' + "9" * 60 + '"'):
        stale = client.patch("/api/jobs/job-1", json={"progress": 2}, headers={"If-Match": value})
        assert (stale.status_code, stale.json["code"]) == (412, "stale")
        assert client.delete("/api/jobs/job-1", headers={"If-Match": value}).status_code == 412
    assert client.patch("/api/jobs/job-1", json={"progress": 2}, headers={"If-Match": "*"}).json["progress"] == 2


def test_a_backward_step_is_a_conflict(client: FlaskClient, job: Job) -> None:
    client.patch("/api/jobs/job-1", json={"status": "exporting"})
    answer = client.patch("/api/jobs/job-1", json={"status": "loading_model"})
    assert (answer.status_code, answer.json["code"]) == (409, "wrong_status")
    assert answer.json["detail"] == "job job-1 is exporting: it cannot become loading_model"


def test_tracks_and_loops_are_patched(client: FlaskClient, loop: Loop) -> None:
    assert client.patch("/api/tracks/track-1", json={"duration": 6.0, "metadata": {"a": 1}}).json["duration"] == 6
    changed = client.patch("/api/loops/loop-1", json={"status": "RENDERING", "progress": 40.0, "fade_in_out": 1}).json
    assert (changed["status"], changed["progress"], changed["fade_in_out"]) == ("RENDERING", 40, True)
    assert client.patch("/api/tracks/track-1", json={"job_id": "nobody"}).status_code == 422


# --- delete


def test_deleting_a_job_deletes_its_tracks_and_loops(client: FlaskClient, loop: Loop) -> None:
    answer = client.delete("/api/jobs/job-1")
    assert (answer.status_code, answer.data) == (204, b"")
    for url in ("/api/jobs/job-1", "/api/tracks/track-1", "/api/loops/loop-1"):
        assert client.get(url).status_code == 404
        assert client.delete(url).status_code == 404
        assert client.patch(url, json={}).status_code == 404
    assert Event.select().where(Event.change == "deleted").count() == 3


def test_tracks_and_loops_are_deleted_alone(client: FlaskClient, loop: Loop) -> None:
    assert client.delete("/api/loops/loop-1").status_code == 204
    assert client.delete("/api/tracks/track-1").status_code == 204
    assert client.get("/api/jobs/job-1").status_code == 200


# --- the rest


def test_statistics_health_and_readiness(client: FlaskClient, loop: Loop, kind: str) -> None:
    assert client.get("/api/stats").json["queue_length"] == 2
    assert client.get("/healthz").json == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "ready")
    assert ready.json["database"]["detail"].lower().startswith(kind)


def test_readiness_says_what_is_wrong(client: FlaskClient, app: Flask) -> None:
    database.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    app.extensions["ledger"].settings.storage_dir.rmdir()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "unavailable")
    assert "restart the service" in answer.json["schema"]["detail"]
    assert "removed or replaced" in answer.json["storage"]["detail"]


def test_the_documentation_needs_no_other_host(client: FlaskClient) -> None:
    page = client.get("/docs/").text
    assert "swagger-ui" in page and re.findall("https?://[^/]+", page) == []
    with client.get("/docs/swagger-ui-bundle.js") as script:
        assert script.status_code == 200
    assert client.get("/openapi.json").json["openapi"].startswith("3.1")
