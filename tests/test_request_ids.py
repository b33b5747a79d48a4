"""X-Request-Id: every answer has one, and an error and the log have the same one."""

import http.client
import json
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.conftest import wait_for
from tests.service import Server, lines_with


def ask(service: Server, path: str, **headers: str) -> tuple[str, bytes]:
    """(the X-Request-Id of the answer, its body)."""
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.headers["X-Request-Id"], answer.read()


def test_an_error_and_the_log_have_the_id_of_the_answer(service: Server) -> None:
    sent, body = ask(service, "/api/jobs/no-such-job")
    assert json.loads(body)["request_id"] == sent
    assert len(wait_for(lambda: lines_with(service, sent), 5)) == 1


def test_the_id_that_a_proxy_sends_is_used(service: Server) -> None:
    assert ask(service, "/healthz", X_Request_Id="proxy-77")[0] == "proxy-77"
    assert ask(service, "/healthz", X_Request_Id="two words")[0] != "two words"


@pytest.mark.parametrize("first_line", ["GET / HTTP/1.1", "GET / HTTP/9.9", "nonsense"])
def test_a_refusal_by_the_server_itself_has_an_id(service: Server, first_line: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(f"{first_line}\r\n\r\n".encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert f"X-Request-Id: {json.loads(body)['request_id']}".encode() in head.splitlines()


def test_a_traceback_in_a_json_log_has_the_id(server: Callable[..., Server]) -> None:
    running = server(LOG_FORMAT="json").start()
    (running.folder / "app.db").write_bytes(b"")
    sent, body = ask(running, "/api/jobs?q=x")
    read = wait_for(lambda: len(lines := lines_with(running, sent)) > 1 and lines, 30)
    lines = [json.loads(line) for line in read]
    assert json.loads(body)["status"] >= 500 and all(line["request_id"] == sent for line in lines)
    assert {"ledger.web", "ledger.access"} <= {line["logger"] for line in lines}
