"""LeanFlask: it answers as Flask does, without what this service does not use."""

from collections.abc import Callable

import pytest
from flask import Flask, Response, request, session, url_for
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from access.access import Access
from app import create_app
from models import Job
from settings import Settings
from tests.conftest import on_sqlite
from web import lean
from web.guard import Guard
from web.lean import LeanFlask, json_response

PLACES = [
    {"base_url": "http://LocalHost:80/"},
    {"base_url": "https://[::1]:8000/", "path": "/api/jobs", "query_string": "q=é"},
    {"base_url": "http://127.0.0.1:8000/prefix", "path": "/é//x", "method": "POST"},
    {"headers": {"Host": "a b"}},
    {"headers": {"Host": ""}},
]


@pytest.mark.parametrize("place", PLACES)
def test_routes_are_looked_for_where_flask_looks_for_them(place: dict[str, object]) -> None:
    adapters = []
    for app in (Flask(__name__), LeanFlask(__name__)):
        with app.test_request_context(**place) as context:
            adapters.append(vars(context.url_adapter) | {"map": None})
            for own in ("routes", "environ"):
                adapters[-1].pop(own, None)
    plain, lean = adapters
    for adapter in adapters:
        adapter["path_info"] = "/" + adapter["path_info"].lstrip("/")
    assert lean == plain and lean["server_name"] is not None


def test_the_session_that_all_requests_share_cannot_be_written() -> None:
    with LeanFlask(__name__).test_request_context(), pytest.raises(RuntimeError):
        session["user"] = "x"


def test_a_long_host_is_refused_and_not_kept(app: Flask) -> None:
    lean._kept_host.cache_clear()
    for _ in range(2):
        answer = app.test_client().get("/api/jobs", headers={"Host": "a" * 301})
        assert answer.status_code == 403 and answer.json["code"] == "forbidden_origin"
    assert lean._kept_host.cache_info().currsize == 0


def test_a_guard_keeps_no_long_host() -> None:
    settings = Settings(_env_file=None, allowed_hosts="studio.lan")
    guard = Guard(settings, Access(settings))
    head = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    answers = [guard.refusal({**head, "HTTP_HOST": host}) for host in ("studio.lan", "a" * 301, "b" * 60_000)]
    assert [answer is None for answer in answers] == [True, False, False]
    assert guard._is_allowed.cache_info().currsize == 1


@on_sqlite
@pytest.mark.parametrize("path", ["/api/jobs/job-1", "/api/jobs"])
def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient, job: Job, path: str) -> None:
    got, asked = client.get(path), client.head(path)
    assert asked.data == b"" and got.data
    assert dict(asked.headers) == dict(got.headers)
    assert got.content_length == len(got.data) and got.content_type == "application/json"


def test_what_must_happen_when_a_json_response_was_sent_happens() -> None:
    app, closed = LeanFlask(__name__), []

    @app.get("/")
    def view() -> Response:
        response = json_response(b"{}")
        response.call_on_close(lambda: closed.append(True))
        return response

    with app.test_client().get("/") as answer:
        assert answer.data == b"{}"
    assert closed == [True]


def test_a_kept_route_has_its_own_arguments_and_the_number_of_kept_routes_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lean, "ROUTES", 3)
    app = LeanFlask(__name__)

    @app.get("/<name>")
    def view(name: str) -> str:
        assert request.view_args is not None
        return f"{name} {request.view_args.pop('name')}"

    client = app.test_client()
    answers = [client.get(f"/{number}").text for number in (1, 1, 2, 3, 4, 5, 1)]
    assert answers == ["1 1", "1 1", "2 2", "3 3", "4 4", "5 5", "1 1"] and len(app._routes) <= 3
    assert client.post("/1").status_code == 405 and client.get("/").status_code == 404


def test_a_url_is_made_by_a_function_that_is_compiled_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    original = Rule._compile_builder

    def compile_builder(self: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled.append(self.rule)
        return original(self, append_unknown)

    monkeypatch.setattr(Rule, "_compile_builder", compile_builder)
    made = create_app(app.extensions["ledger"].settings)
    assert compiled == []
    with made.test_request_context():
        for number in (1, 2):
            url = url_for("pages.show_job", job_id=f"a b{number}", q="c&d", _anchor="takes")
            assert url == f"/jobs/a%20b{number}?q=c%26d#takes"
    made.extensions["ledger"].close()
    assert compiled == ["/jobs/<id:job_id>"]
