"""nginx and Caddy in front of the service, with the configurations of deploy/."""

import http.client
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from tests.conftest import Server, wait_for
from tests.proxies import NAME, Proxy, caddy, nginx
from tests.service import lines_with
from tests.streams import blocks, take

Start = Callable[[Path, int], AbstractContextManager[Proxy]]
TOKEN = {"Authorization": "Bearer secret"}
UPLOAD_BYTES = 100_000_000


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with the settings that it needs behind a proxy."""
    folder = tmp_path_factory.mktemp("behind")
    settings = {"ALLOWED_HOSTS": NAME, "TRUSTED_PROXIES": "127.0.0.1", "API_TOKEN": "secret", "WORKERS": "0"}
    running = Server(folder, DB_PATH=str(folder / "app.db"), **settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, behind: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy in front of it."""
    start: Start = request.param
    with start(tmp_path_factory.mktemp("proxy"), behind.port) as running:
        yield running


def test_an_event_comes_through_the_proxy_at_once(behind: Server, proxy: Proxy) -> None:
    with closing(proxy.connect()) as connection:
        connection.request("GET", "/api/events", headers=TOKEN)
        answer = connection.getresponse()
        stream = blocks(iter(lambda: answer.read1(65536), b""))
        created = behind.call("POST", "/api/jobs", {"prompt": "rain"}, **TOKEN)[1]
        [event] = take(stream, 1)
        answer.close()
    assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
    assert event["data"]["entity_id"] == created["job_id"]


def test_an_upload_of_100_mb_passes(behind: Server, proxy: Proxy, tmp_path: Path) -> None:
    job = behind.call("POST", "/api/jobs", {"prompt": "rain"}, **TOKEN)[1]
    track = behind.call("POST", f"/api/jobs/{job['job_id']}/tracks", {}, **TOKEN)[1]["track_id"]
    headers = {**TOKEN, "Content-Type": "audio/wav", "Content-Length": str(silence(tmp_path / "long.wav"))}
    with closing(proxy.connect()) as connection, (tmp_path / "long.wav").open("rb") as file:
        connection.request("PUT", f"/api/tracks/{track}/audio?format=wav", file, headers)
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 200, body
    [stored] = (behind.storage / "tracks" / track).glob("**/*.wav")
    assert stored.stat().st_size > UPLOAD_BYTES


def silence(path: Path) -> int:
    """Write a WAV file of 100 MB of silence; returns its bytes."""
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(UPLOAD_BYTES))
    return path.stat().st_size


def test_the_log_names_the_client_and_not_what_it_pretends_to_be(behind: Server, proxy: Proxy) -> None:
    path = f"/api/jobs/from-{proxy.https}"
    with closing(proxy.connect("127.0.0.2")) as connection:
        connection.request("GET", path, headers={**TOKEN, "X-Forwarded-For": "203.0.113.9"})
        assert connection.getresponse().status == 404
    line = wait_for(lambda: lines_with(behind, f"GET {path} 404"), 30)[0]
    assert " 127.0.0.2 GET " in line


def test_a_form_sent_by_https_signs_in_with_a_cookie_for_https_alone(proxy: Proxy) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{NAME}:{proxy.https}"}
    with closing(proxy.connect()) as connection:
        connection.request("POST", "/sign-in", "token=secret", headers)
        answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    assert "Secure" in (answer.getheader("Set-Cookie") or "").split("; ")
    assert answer.getheader("Strict-Transport-Security") == "max-age=31536000"


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.http, timeout=20)) as connection:
        connection.request("GET", "/docs/", headers={"Host": NAME})
        answer = connection.getresponse()
    assert answer.status in (301, 308)
    assert (answer.getheader("Location") or "").startswith(f"https://{NAME}")
