"""The guard reads a request as Flask does: no spelling of a path, and no cookie, gets around it or makes it fail."""

import pytest
from flask import Flask

from tests.access import OWNER, READER, add_token
from tests.fronts import serving_flask
from web.guard import COOKIE


@pytest.fixture
def kind() -> str:
    """The guard needs no database, so one of them is enough."""
    return "sqlite"


@pytest.mark.parametrize(
    "path", ["//api/jobs", "///api/jobs", "//metrics", "/%2Fapi/jobs", "http://127.0.0.1//api/jobs"]
)
def test_another_spelling_of_a_path_opens_nothing(app: Flask, path: str) -> None:
    reading = f"Authorization: Bearer {add_token(app, READER, read_only=True)}\r\n"
    with serving_flask(app) as front:
        for method, token, status in (("GET", "", 401), ("HEAD", "", 401), ("POST", "", 401), ("POST", reading, 403)):
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}Content-Length: 0\r\n\r\n"
            assert front.open(head.encode()).recv(65536).startswith(b"HTTP/1.1 %d " % status), method


def test_a_cookie_that_is_not_utf8_signs_nobody_in_and_keeps_nobody_out(app: Flask) -> None:
    owner = add_token(app, OWNER)
    for wrong in (f"{COOKIE}=\xff", f"{COOKIE}=\x80\x81", f'{COOKIE}="\\377"'):
        client, sent = app.test_client(use_cookies=False), {"HTTP_COOKIE": wrong}
        assert client.get("/api/jobs", environ_overrides=sent).status_code == 401
        assert client.get("/", environ_overrides=sent).status_code == 303
        signed_in = client.post("/sign-in", data={"token": owner}, environ_overrides=sent)
        session = signed_in.headers["Set-Cookie"].partition(";")[0]
        of_two_programs = {"HTTP_COOKIE": f"other=\xff; {session}"}
        assert client.get("/", environ_overrides=of_two_programs).status_code == 200
