"""The REST interface of discards and of actions on several records."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from errors import StorageFull
from files.storage import Storage
from models import Event, Job, Track
from repos import JobRepository, TrackRepository
from tests.conftest import on_sqlite
from tests.sounds import wav_bytes

jobs, tracks = JobRepository(), TrackRepository()


@pytest.fixture
def files(storage: Storage, job: Job) -> list[Path]:
    """The files of two tracks of job-1, of which the second has a star."""
    made = []
    for number, starred in ((1, False), (2, True)):
        made.append(storage.root / f"jobs/job-1/{number}.wav")
        made[-1].parent.mkdir(parents=True, exist_ok=True)
        made[-1].write_bytes(wav_bytes())
        path = storage.relative(made[-1])
        tracks.create(track_id=f"track-{number}", job_id="job-1", starred=starred, file_path_wav=path)
    return made


def problem(answer: Any) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json["code"]


def test_a_discard_over_rest_and_its_undo(client: FlaskClient, files: list[Path]) -> None:
    answer = client.post("/api/jobs/job-1/discard")
    discard: Any = answer.json
    assert answer.status_code == 201 and answer.headers["Location"] == discard["urls"]["self"]
    assert (discard["job_id"], discard["state"], discard["tracks"], discard["loops"]) == ("job-1", "waiting", 1, 0)
    assert discard["bytes"] == len(wav_bytes()) and all(path.exists() for path in files)
    assert client.get("/api/tracks/track-1").status_code == 404
    assert client.get("/api/jobs/job-1/tracks").json["items"][0]["track_id"] == "track-2"
    assert client.get("/api/jobs/job-1/discards").json == {"items": [discard]}
    assert client.get(discard["urls"]["self"]).json == discard
    undone = client.post(discard["urls"]["undo"])
    assert (undone.status_code, undone.json) == (200, {**discard, "state": "undone"})
    assert client.post(discard["urls"]["undo"]).json == undone.json
    assert client.get("/api/tracks/track-1/audio").data == wav_bytes()
    assert client.get("/api/jobs/job-1/discards").json == {"items": []}


@on_sqlite
def test_a_discard_without_a_choice_is_refused(client: FlaskClient, files: list[Path]) -> None:
    client.patch("/api/tracks/track-1", json={"starred": True})
    assert problem(client.post("/api/jobs/job-1/discard")) == (409, "wrong_status")
    for name in ("track-1", "track-2"):
        client.patch(f"/api/tracks/{name}", json={"starred": False})
    assert problem(client.post("/api/jobs/job-1/discard")) == (409, "wrong_status")
    for address in ("/api/jobs/nobody/discard", "/api/discards/nobody/undo"):
        assert problem(client.post(address)) == (404, "not_found")
    for address in ("/api/jobs/nobody/discards", "/api/discards/nobody"):
        assert problem(client.get(address)) == (404, "not_found")
    assert Track.select().count() == 2


@on_sqlite
def test_an_undo_that_is_not_possible_says_why(client: FlaskClient, files: list[Path]) -> None:
    undo = client.post("/api/jobs/job-1/discard").json["urls"]["undo"]
    client.post("/api/tracks", json={"track_id": "track-1", "job_id": "job-1"})
    answer = client.post(undo)
    assert problem(answer) == (409, "conflict") and "track-1" in answer.json["detail"]
    client.delete("/api/jobs/job-1")
    answer = client.post(undo)
    assert problem(answer) == (409, "conflict") and "job-1 was deleted" in answer.json["detail"]


def test_jobs_are_cancelled_and_retried_by_the_rules_of_one_job(client: FlaskClient) -> None:
    for job_id, status in (("a", "pending"), ("b", "completed"), ("c", "failed"), ("d", "cancelled")):
        jobs.create(job_id=job_id, prompt="x", status=status)
    ids = ["d", "c", "b", "a", "a", "nobody"]
    cancelled: Any = client.post("/api/jobs/actions", json={"action": "cancel", "ids": ids}).json
    assert cancelled["done"] == ["d", "a"] and cancelled["discard"] is None
    refused = [(refusal["id"], refusal["code"]) for refusal in cancelled["refused"]]
    assert refused == [("c", "wrong_status"), ("b", "wrong_status"), ("nobody", "not_found")]
    retried: Any = client.post("/api/jobs/actions", json={"action": "retry", "ids": ids}).json
    assert retried["done"] == ["d", "c", "a"] and "completed" in retried["refused"][0]["detail"]
    assert [client.get(f"/api/jobs/{name}").json["status"] for name in "abcd"] == [
        "pending", "completed", "pending", "pending",
    ]  # fmt: skip


@pytest.mark.parametrize("with_files", [False, True])
def test_jobs_are_deleted_for_good(client: FlaskClient, files: list[Path], with_files: bool) -> None:
    jobs.create(job_id="other", prompt="x")
    body = {"action": "delete", "ids": ["job-1", "nobody", "other"], "files": with_files}
    answer: Any = client.post("/api/jobs/actions", json=body).json
    assert (answer["done"], [refusal["id"] for refusal in answer["refused"]]) == (["job-1", "other"], ["nobody"])
    assert Job.select().count() == 0 and [path.exists() for path in files] == [not with_files] * 2


def test_a_job_that_cannot_be_deleted_stops_no_other(
    client: FlaskClient, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = JobRepository.delete

    def refuse(repo: JobRepository, job_id: str, if_match: Any = None) -> bool:
        if job_id == "second":
            raise StorageFull("the disk is full")
        return delete(repo, job_id, if_match)

    monkeypatch.setattr(JobRepository, "delete", refuse)
    for job_id in ("second", "third"):
        jobs.create(job_id=job_id, prompt="x")
    body = {"action": "delete", "ids": ["job-1", "second", "nobody", "third"], "files": True}
    answer = client.post("/api/jobs/actions", json=body)
    assert answer.status_code == 200 and answer.json is not None and answer.json["done"] == ["job-1", "third"]
    refused = [(refusal["id"], refusal["code"], refusal["detail"]) for refusal in answer.json["refused"]]
    assert refused[0] == ("second", "storage_full", "the disk is full") and refused[1][0] == "nobody"
    assert [job.job_id for job in Job.select()] == ["second"] and not any(path.exists() for path in files)


def test_tracks_get_stars_and_lose_them(client: FlaskClient, files: list[Path]) -> None:
    newest = Event.select(Event.event_id).order_by(Event.event_id.desc()).limit(1).scalar()
    before: Any = tracks.get_by_id("track-2")
    ids = ["track-1", "track-2", "nobody"]
    starred: Any = client.post("/api/tracks/actions", json={"action": "star", "ids": ids}).json
    assert starred["done"] == ids[:2] and starred["refused"][0]["code"] == "not_found"
    assert all(track.starred for track in Track.select())
    assert [event.entity_id for event in Event.select().where(Event.event_id > newest)] == ["track-1"]
    assert tracks.get_by_id("track-2").version == before.version
    client.post("/api/tracks/actions", json={"action": "unstar", "ids": ids})
    assert not any(track.starred for track in Track.select())


def test_deleted_tracks_come_back(client: FlaskClient, files: list[Path]) -> None:
    ids = ["nobody", "track-2", "track-1"]
    answer: Any = client.post("/api/tracks/actions", json={"action": "delete", "ids": ids}).json
    assert answer["done"] == ids[1:] and answer["discard"]["tracks"] == 2
    assert answer["discard"]["bytes"] == 2 * len(wav_bytes())
    assert client.get("/api/tracks").json["items"] == []
    assert client.post(answer["discard"]["urls"]["undo"]).json["state"] == "undone"
    assert sorted(track.track_id for track in Track.select()) == ["track-1", "track-2"]
    answer = client.post("/api/tracks/actions", json={"action": "delete", "ids": ["nobody"]}).json
    assert (answer["done"], answer["discard"]) == ([], None)


@on_sqlite
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "cancel"}, "ids"),
        ({"action": "cancel", "ids": []}, "ids"),
        ({"action": "cancel", "ids": ["x"] * 201}, "ids"),
        ({"action": "cancel", "ids": ["a b"]}, "ids.0"),
        ({"action": "star", "ids": ["x"]}, "action"),
        ({"action": "delete", "ids": ["x"], "files": "yes"}, "files"),
        ({"action": "delete", "ids": ["x"], "loops": True}, "loops"),
    ],
)
def test_a_wrong_action_names_its_field(client: FlaskClient, body: Any, field: str) -> None:
    answer: Any = client.post("/api/jobs/actions", json=body)
    assert answer.status_code == 422 and [error["field"] for error in answer.json["errors"]] == [field]


def test_many_jobs_need_few_statements(client: FlaskClient, statements: list[str]) -> None:
    names = [f"j{number}" for number in range(200)]
    for name in names:
        jobs.create(job_id=name, prompt="x")
    for action in ("cancel", "retry", "delete"):
        statements.clear()
        answer: Any = client.post("/api/jobs/actions", json={"action": action, "ids": names}).json
        assert sorted(answer["done"]) == sorted(names)
        assert len(statements) < 20
