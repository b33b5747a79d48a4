"""The service behind a proxy: whose word about the client is believed."""

import http.client
from collections.abc import Callable

import pytest

from tests.conftest import Server, wait_for
from tests.service import lines_with

FORWARDED = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(("proxies", "client"), [("127.0.0.1", "198.51.100.1"), ("10.0.0.0/8", "127.0.0.1")])
def test_the_log_names_the_client_behind_a_trusted_proxy(
    server: Callable[..., Server], proxies: str, client: str
) -> None:
    running = server(TRUSTED_PROXIES=proxies).start()
    assert running.call("GET", "/api/jobs/behind-a-proxy", **FORWARDED)[0] == 404
    line = wait_for(lambda: lines_with(running, "GET /api/jobs/behind-a-proxy 404"), 30)[0]
    assert f" {client} GET " in line


@pytest.mark.parametrize(("proxies", "is_secure"), [("127.0.0.1", True), ("", False)])
def test_the_cookie_is_for_https_alone_if_a_trusted_proxy_says_https(
    server: Callable[..., Server], proxies: str, is_secure: bool
) -> None:
    running = server(TRUSTED_PROXIES=proxies, API_TOKEN="secret").start()
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **FORWARDED}
    connection.request("POST", "/sign-in", "token=secret", headers)
    answer = connection.getresponse()
    connection.close()
    assert answer.status == 303
    assert ("Secure" in (answer.getheader("Set-Cookie") or "").split("; ")) is is_secure
