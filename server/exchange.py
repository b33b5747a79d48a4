"""One request and its answer, from the head of the request to the last byte of the answer."""

import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from records.handover import Handover
from records.waits import Wait
from server.answers import Answer, head
from server.bodies import Body
from server.environ import Environ

if TYPE_CHECKING:
    from server.front import Front
    from server.http import Connection


class Sender(Protocol):
    """What sends a body without a thread: a file, an event stream, or a response that is waited for."""

    def resume(self) -> None:
        """Go on: the client has read most of what was sent."""

    def left(self) -> None:
        """The client sends no more: it has probably gone."""

    def stop(self) -> None:
        """End soon: the process stops."""

    def close(self) -> None:
        """Free everything: the connection is lost."""


class Exchange:
    """A request and its answer. All methods run in the event loop."""

    def __init__(self, connection: "Connection", environ: Environ, front: "Front") -> None:
        self.connection, self.environ, self.front = connection, environ, front
        self.keep_alive = True
        self.ready: Answer | None = None  # an answer that does not come from the app
        self.body: Body = front.no_body
        self.sender: Sender | None = None
        self._is_started = self._is_abandoned = False
        self._started_at = time.perf_counter()

    @property
    def expects_body(self) -> bool:
        """True if the head says that a body follows."""
        return self.environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in self.environ

    @property
    def is_gone(self) -> bool:
        """True if the client has closed its end of the connection, or nothing can be sent on it any more."""
        return self.connection.has_left or self.connection.transport.is_closing()

    def accept_body(self) -> bool:
        """Prepare to read the body. False if the request is refused by its head, without the body."""
        body = self.front.body_for(self.environ)
        if not isinstance(body, Body):
            self.ready = body
            return False
        self.body = body
        body.pause = self.connection.pause
        return True

    def invite_body(self) -> None:
        """Send `100 Continue` if the client waits for it before it sends the body (RFC 9110)."""
        is_expected = self.environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        if is_expected and self.environ["SERVER_PROTOCOL"] == "HTTP/1.1" and not self.body.received:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def start(self) -> None:
        """Call the app for the answer, once."""
        if self._is_started:
            return
        self._is_started = True
        self._started_at = time.perf_counter()
        if self.ready is not None:
            self.answer(self.ready)
        else:
            self.front.call_app(self)

    def answer(self, answer: Answer) -> None:
        """Send an answer. Its body is bytes, or something that the front sends."""
        body: Any = answer.body
        if not isinstance(body, Wait):
            self._log(answer.status[:3])
        self.body.discard()
        if self._is_abandoned:
            self.front.drop(body)
        elif isinstance(body, bytes):
            self.write(head(answer, self.keep_alive) + (b"" if self.environ["REQUEST_METHOD"] == "HEAD" else body))
            self.finish()
        else:
            self.front.send(self, answer)

    def send_claimed(self, answer: Answer, claimed: Handover) -> None:
        """Send what was claimed, if the client is still there; else give it back."""
        if self.is_gone:
            self.front.drop(claimed)
            self.keep_alive = False
        else:
            self.write(head(answer, self.keep_alive) + b"".join(claimed))
        self.finish()

    def write(self, data: bytes) -> None:
        """Send a part of the answer."""
        self.connection.write(data)

    def finish(self) -> None:
        """The whole answer has been written."""
        self.sender = None
        self.connection.finished(self)

    def cut(self) -> None:
        """Cut the connection, so that the client notices that the answer is not complete."""
        self.connection.transport.abort()

    def resume(self) -> None:
        """The client has read most of what was sent."""
        if self.sender is not None:
            self.sender.resume()

    def left(self) -> None:
        """The client sends no more."""
        if self.sender is not None:
            self.sender.left()

    def stop(self) -> None:
        """The process stops."""
        self.keep_alive = False
        if self.sender is not None:
            self.sender.stop()

    def _log(self, code: str) -> None:
        """Write the line of this request to the log."""
        milliseconds = (time.perf_counter() - self._started_at) * 1000
        method, path = self.environ["REQUEST_METHOD"], self.environ["PATH_INFO"]
        shown = path if path.isascii() and path.isprintable() else quote(path, encoding="latin-1")
        self.front.access_log.write(f"{self.environ['REMOTE_ADDR']} {method} {shown} {code} {milliseconds:.1f} ms")

    def abandon(self) -> None:
        """Free everything: no answer can be sent. If the app is working, its answer is dropped later."""
        self._is_abandoned = True
        if not self._is_started:
            self.body.discard()
        if self.sender is not None:
            self.sender.close()
            self.sender = None
