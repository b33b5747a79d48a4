"""HTTPS without a proxy: the handshake, both directions, the end of a connection, and a certificate that is renewed."""

import http.client
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from errors import SettingsError
from server import front as limits
from server.http import HEAD_SECONDS
from server.tls import RECORD_BYTES, Certificate, SecureConnection, make_context
from settings import Settings
from tests.certificates import any_certificate, make_certificate
from tests.conftest import Server, wait_for
from tests.fronts import RunningFront, get, post, rest, serving

SECONDS = 30
LARGE = bytes(range(256)) * 8000
GO_ON = threading.Event()
Files = tuple[Path, Path]
Secure = Callable[..., ssl.SSLSocket]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with the number of bytes of the body, or with much, or late."""
    if environ["PATH_INFO"] == "/late":
        GO_ON.wait(SECONDS)
    start("200 OK", [])
    large = environ["PATH_INFO"] == "/large"
    return [LARGE if large else b"%d %s" % (len(environ["wsgi.input"].read()), environ["wsgi.url_scheme"].encode())]


@pytest.fixture(scope="module")
def front(files: Files) -> Iterator[RunningFront]:
    """A front with TLS; the tests check the connections themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "CHECK_SECONDS", 3600.0)
        with serving(app, connection=partial(SecureConnection, certificate=Certificate(*files))) as made:
            yield made


@pytest.fixture
def secure(front: RunningFront) -> Iterator[Secure]:
    """Makes clients after the handshake. They notice an end of the connection that the front does not announce."""
    with ExitStack() as stack:

        def connect(context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
            secured = (context or any_certificate()).wrap_socket(front.open(b""), suppress_ragged_eofs=False)
            return stack.enter_context(secured)

        yield connect


def read_answer(client: ssl.SSLSocket) -> bytes:
    """The body of one answer."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.read()


def test_requests_on_one_connection_are_answered(secure: Secure) -> None:
    client = secure()
    for length in (3, 500_000):
        client.sendall(post("/", bytes(length)))
        assert read_answer(client) == b"%d http" % length
    client.sendall(get() + get("/large"))
    answers = read_exactly(client, len(LARGE))
    assert answers.count(b"HTTP/1.1 200 OK") == 2 and answers.endswith(LARGE)


def read_exactly(client: ssl.SSLSocket, least: int) -> bytes:
    """What a client gets until it has more than these bytes and the answer is over."""
    data = b""
    while len(data) < least or not data.endswith(LARGE):
        data += client.recv(65536)
    return data


def test_only_new_versions_of_tls_and_http_1_are_spoken(secure: Secure) -> None:
    context = any_certificate()
    context.set_alpn_protocols(["h2", "http/1.1"])
    client = secure(context)
    assert (client.version(), client.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert secure(context).version() == "TLSv1.2"
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION|protocol version"):
        secure(context)


@pytest.mark.parametrize("sent", [get(), b"\x00" * 70_000])
def test_what_is_no_tls_is_closed_without_an_answer(front: RunningFront, sent: bytes) -> None:
    assert b"HTTP" not in rest(front.open(sent))
    wait_for(lambda: len(front.front.connections) == 0, SECONDS)


def test_a_handshake_that_does_not_end_counts_and_is_cut_off(front: RunningFront) -> None:
    client = front.open(b"\x16\x03\x01")
    connection = front.connection(client)
    assert len(front.front.connections) == 1
    front.call(connection.check, front.loop.time() + HEAD_SECONDS + 1)
    assert client.recv(100) == b""
    wait_for(lambda: len(front.front.connections) == 0, SECONDS)


def test_the_end_of_a_connection_is_announced(secure: Secure) -> None:
    client = secure()
    client.sendall(get("/large").removesuffix(b"\r\n") + b"Connection: close\r\n\r\n")
    answer = b"".join(iter(lambda: client.recv(65536), b""))  # raises SSLEOFError if it is not announced
    assert answer.endswith(LARGE)


def test_the_end_of_a_refusal_is_announced(secure: Secure) -> None:
    client = secure()
    client.sendall(post("/", b"")[:-4].replace(b"Length: 0", b"Length: 2000000\r\n\r\n"))
    assert b"".join(iter(lambda: client.recv(65536), b"")).startswith(b"HTTP/1.1 200 ")  # of the app, without the body


def test_an_address_with_too_many_connections_is_cut_off_before_its_handshake(files: Files) -> None:
    exempt = frozenset({ipaddress.ip_network("127.0.0.1")})
    protocol = partial(SecureConnection, certificate=Certificate(*files))
    with serving(app, connection=protocol, exempt=exempt, most=8) as front:
        opened = [front.open(b"", "127.0.0.2") for _ in range(2)]
        wait_for(lambda: len(front.front.connections) == 2, SECONDS)
        assert rest(front.open(b"", "127.0.0.2")) == b""
        assert len(front.front.connections) == len(opened)


def test_a_client_that_reads_slowly_is_seen_and_gets_all(front: RunningFront, secure: Secure) -> None:
    client = secure()
    client.sendall(get("/large"))
    connection = front.connection(client)  # type: ignore[arg-type]
    wait_for(lambda: not connection.is_writable, SECONDS)
    assert front.call(connection.unsent) > 1_000_000
    assert connection._unsent > 1_000_000  # all of it was there when the client began to be slow
    assert read_exactly(client, len(LARGE)).endswith(LARGE)
    wait_for(lambda: connection.is_writable, SECONDS)


def send_and_end(front: RunningFront, request: bytes) -> socket.socket:
    """A client that has sent a request with TLS, and has announced that it sends no more."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = any_certificate().wrap_bio(incoming, outgoing)
    client = front.open(b"")

    def until_done(step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                client.sendall(outgoing.read())
                incoming.write(client.recv(65536))

    until_done(session.do_handshake)
    session.write(request)
    with suppress(ssl.SSLWantReadError):
        session.unwrap()
    client.sendall(outgoing.read())  # the request and the end
    return client


def test_a_client_that_sends_no_more_gets_its_answer(front: RunningFront) -> None:
    assert rest(send_and_end(front, get())) != b""
    wait_for(lambda: len(front.front.connections) == 0, SECONDS)


def test_what_follows_the_end_is_not_kept(front: RunningFront) -> None:
    client = send_and_end(front, get("/late"))
    connection: Any = front.connection(client)
    wait_for(lambda: connection.has_left, SECONDS)
    client.sendall(bytes(3_000_000))  # more than the system keeps
    assert front.call(lambda: connection._secure._arrived.pending) == 0
    GO_ON.set()
    assert rest(client) != b""


class WatchedBuffer:
    """A buffer between OpenSSL and the connection, and the most bytes that it has had."""

    def __init__(self, buffer: ssl.MemoryBIO) -> None:
        self.buffer, self.most = buffer, 0

    @property
    def pending(self) -> int:
        """The bytes in it."""
        self.most = max(self.most, self.buffer.pending)
        return self.buffer.pending

    def write(self, data: memoryview) -> int:
        """Add these bytes."""
        written = self.buffer.write(data)
        return written if self.pending else 0

    def read(self) -> bytes:
        """Take all bytes."""
        return self.buffer.read() if self.pending else b""


def test_a_connection_needs_no_large_buffers(front: RunningFront, secure: Secure) -> None:
    client = secure()
    transport: Any = front.connection(client).transport  # type: ignore[arg-type]
    transport._arrived, transport._outgoing = map(WatchedBuffer, (transport._arrived, transport._outgoing))
    client.sendall(post("/", bytes(500_000)) + get("/large"))
    assert read_answer(client) == b"500000 http" and read_answer(client) == LARGE
    assert all(0 < watched.most < 2 * RECORD_BYTES for watched in (transport._arrived, transport._outgoing))


def test_a_new_certificate_is_used_for_new_connections(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "first")
    new = make_certificate(tmp_path, "second")
    used = Certificate(certificate, key)
    before = used.context
    used.refresh()
    assert used.context is before
    os.replace(new[0], certificate)
    used.refresh()  # the key is still the old one
    assert used.context is before
    os.replace(new[1], key)
    used.refresh()
    assert used.context is not before
    before = used.context
    key.chmod(0o640)  # perhaps it could not be read before
    used.refresh()
    assert used.context is not before
    key.unlink()
    after = used.context
    used.refresh()
    assert used.context is after


def test_files_that_cannot_be_used_are_named(files: Files, tmp_path: Path) -> None:
    certificate, key = files
    other_key = make_certificate(tmp_path, "other")[1]
    for wrong, sentence in [
        ((tmp_path / "none", key), "^TLS_CERT is '.*/none': cannot read this file"),
        ((certificate, tmp_path), "^TLS_KEY is '.*': cannot read this file"),
        ((key, key), "^TLS_CERT is '.*': expected a certificate in PEM"),
        ((certificate, certificate), "^TLS_KEY is '.*': expected the key of the certificate"),
        ((certificate, other_key), "^TLS_KEY is '.*': expected the key of .*KEY_VALUES_MISMATCH"),
    ]:
        with pytest.raises(SettingsError, match=sentence):
            make_context(*wrong)


@pytest.mark.parametrize(("name", "missing"), [("tls_cert", "TLS_KEY"), ("tls_key", "TLS_CERT")])
def test_one_file_needs_the_other(name: str, missing: str) -> None:
    with pytest.raises(ValueError, match=f"{missing} is not set: set TLS_CERT and TLS_KEY, or none"):
        Settings(_env_file=None, **{name: "file.pem"})


def test_a_service_with_a_certificate_speaks_https_and_its_cookie_is_for_https(
    server: Callable[..., Server], files: Files
) -> None:
    running = server(TLS_CERT=str(files[0]), TLS_KEY=str(files[1]), API_TOKEN="secret")
    running.launch()
    wait_for(lambda: f"https://127.0.0.1:{running.port} " in running.log.read_text(), 60)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    with closing(http.client.HTTPSConnection("127.0.0.1", running.port, context=any_certificate())) as client:
        client.request("POST", "/sign-in", "token=secret", form)
        answer = client.getresponse()
    assert answer.status == 303
    assert "Secure" in (answer.getheader("Set-Cookie") or "").split("; ")
    assert "Traceback" not in running.log.read_text()
